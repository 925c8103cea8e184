"""The fingerprint by which both sides know that they speak the same schema."""

import hashlib

from greenbench_wire import benchmark_pb2, inference_pb2


def schema_fingerprint() -> str:
    """Return the SHA-256 (hex) over the serialised descriptors of both protos."""
    digest = hashlib.sha256()
    for module in (inference_pb2, benchmark_pb2):
        digest.update(module.DESCRIPTOR.serialized_pb)
    return digest.hexdigest()
