"""What may be trained on: evidence of licences, licence texts, SPDX expressions and the policy."""
