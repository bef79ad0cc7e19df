"""The ground floor: errors, files that are never half-written, settings, progress. Knows nothing of code or models."""
