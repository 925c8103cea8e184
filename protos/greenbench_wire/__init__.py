"""The wire: generated messages and stubs, the only code that host and runtimes share."""

from greenbench_wire.fingerprint import schema_fingerprint

__all__ = ["schema_fingerprint"]
