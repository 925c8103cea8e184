"""Keeping: the event log, Parquet, the manifest, and what can be summed up from them."""
