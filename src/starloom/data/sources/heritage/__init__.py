"""Software Heritage: repositories chosen and walked in its tables, contents by their hash; the tables of The Stack v2."""
