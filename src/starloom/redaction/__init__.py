"""Personal data and secrets in text: found and replaced. A library of its own: data sets use it, and so may servers.

Knows nothing of files, repositories or tables.
"""

from starloom.redaction.finding import Finding, Kind
from starloom.redaction.fixpoint import Redacted, find, redact
from starloom.redaction.usernames import pseudonyms, replace_usernames

__all__ = ["Finding", "Kind", "Redacted", "find", "pseudonyms", "redact", "replace_usernames"]
