"""greenbench: joules and seconds of one inference, per runtime, measured from outside."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("greenbench")
