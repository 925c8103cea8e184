"""Several hosts, one plan: who measures which block, and what becomes of a block whose host is lost."""
