"""What may be trained on: evidence of licences, licence texts, SPDX expressions and the policy."""

MATCHER_VERSION: int = 9
"""Raised by every change after which the same files may give other evidence or other verdicts. Policies carry their own."""
