"""`starloom tokenize`."""
def tokenize() -> None:
    """Placeholder."""
