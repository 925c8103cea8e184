"""Runtimes as processes or containers, and the wire to them. Does not know of energy."""
