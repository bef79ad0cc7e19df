"""`python -m starloom` is the same as `starloom`."""

from starloom.cli import main

main()
