"""Completions without PyTorch: weights, native kernels, a paged cache of keys and values, scheduling, sampling, speculation."""
