"""Which texts are worth training on, by thresholds."""
