"""Where tasks run: local processes, Daft, Ray. A task is a short text, and nothing but files passes between tasks."""
