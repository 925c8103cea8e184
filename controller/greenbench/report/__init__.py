"""Telling: reads results, never measures."""
