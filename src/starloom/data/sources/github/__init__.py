"""Threads of GitHub from the events that GitHub Archive stores: issues and pull requests."""
