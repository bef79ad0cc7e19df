"""Starloom: code completion that a team owns, from raw repositories to a completion at the cursor.

This file stays empty of imports on purpose: `import starloom` and `starloom --help` must be instant, so each
package is imported where it is used.
"""

__version__ = "0.1.0"
