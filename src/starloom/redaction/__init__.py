"""Personal data and secrets in text: found and replaced."""
