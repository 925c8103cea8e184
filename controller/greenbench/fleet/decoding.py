"""Protobuf messages into the fleet's own types."""

from typing import Any

from greenbench.fleet.answers import Description, DeviceDescription, LoadedFacts, TensorShape
from greenbench_wire import benchmark_pb2 as wire


def description(answer: wire.DescribeResponse) -> Description:
    """Return what a runtime said of itself."""
    return Description(
        runtime=answer.runtime,
        versions=dict(answer.versions),
        devices=tuple(
            DeviceDescription(
                kind=device.kind,
                uuid=device.uuid,
                name=device.name,
                compute_capability=device.compute_capability,
                memory_bytes=device.memory_bytes,
            )
            for device in answer.devices
        ),
        kernel_architectures=tuple(answer.kernel_architectures),
        modes=tuple(answer.modes),
        precisions=tuple(answer.precisions),
        models=tuple(answer.models),
        physical_cores=answer.physical_cores,
        python=answer.python,
        converts=answer.converts,
        prepares=answer.prepares,
    )


def loaded_facts(answer: wire.LoadResponse) -> LoadedFacts:
    """Return what a runtime said of the model that it loaded."""
    return LoadedFacts(
        inputs=_shapes(answer.inputs),
        outputs=_shapes(answer.outputs),
        parameters=answer.parameters,
        flops=answer.flops if answer.HasField("flops") else None,
        device_bytes=answer.device_bytes,
        load_s=answer.load_s,
        build_s=answer.build_s,
        nodes_per_provider=dict(answer.nodes_per_provider),
        flags=dict(answer.flags),
        dtypes=dict(answer.dtypes),
    )


def _shapes(specs: Any) -> tuple[TensorShape, ...]:
    return tuple(
        TensorShape(name=spec.name, datatype=spec.datatype, shape=tuple(spec.shape)) for spec in specs
    )
