"""The domain: pure, frozen, SI units; no input or output, no clock."""
