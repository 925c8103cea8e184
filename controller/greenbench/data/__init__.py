"""Photographs and passages that are fed to the models; see README.md for where they come from."""
