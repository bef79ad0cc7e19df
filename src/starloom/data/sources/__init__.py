"""Where documents come from: folders, archives, git repositories, each file by file."""
