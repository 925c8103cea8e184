"""From sensors to readings and windows. Does not know what is running."""
