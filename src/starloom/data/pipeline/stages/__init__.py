"""The stages of the pipeline, one a file: what each reads, what it writes, and the function between."""
