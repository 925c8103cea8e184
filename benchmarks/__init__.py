"""What greenbench itself costs, as programs that print a table."""
