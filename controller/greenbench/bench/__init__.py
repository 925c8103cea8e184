"""The experiment: the one place where runtimes and meters meet."""
