"""Stages over shards, the engines that run them, runs and what they leave for people to read."""
