"""Long checks that CI runs in a short form or not at all; their last result is kept in ``docs/results``."""
