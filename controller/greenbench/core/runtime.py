"""A runtime as the catalogue describes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceBuild:
    """How a runtime is built for one kind of device.

    Attributes:
        requirements: File name in ``docker/requirements``.
        extra_index_url: Package index that serves this build; used only where the host's pip
            configuration names no index and no find-links folder of its own.
        architectures: ``sm_80`` ...: GPUs it ships kernels for; empty for the CPU.
        cuda: Major version of the CUDA libraries it ships, which the driver must know; 0 for the CPU.
    """

    requirements: str
    extra_index_url: str | None = None
    architectures: tuple[str, ...] = ()
    cuda: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSpec:
    """One runtime of the catalogue.

    Attributes:
        name: As users write it.
        engine: Module in ``greenbench_runtime.engines``.
        title: As people write it.
        modes: Mode -> devices it runs on; the first that runs on a device is that device's default.
        precisions: Precisions it can be asked for.
        sources: Frameworks whose converted models it runs; empty where it builds its own networks.
        devices: ``cpu`` / ``cuda`` -> how it is built.
        owns_reference: Whether it makes canonical weights and reference outputs.
        converts: Whether it converts its models to ONNX.
        native: Model -> the network of its own zoo, for ``weights = "native"``.
        native_absent: Model -> why its zoo has none.
    """

    name: str
    engine: str
    title: str
    modes: Mapping[str, tuple[str, ...]]
    precisions: tuple[str, ...]
    devices: Mapping[str, DeviceBuild]
    sources: tuple[str, ...] = ()
    owns_reference: bool = False
    converts: bool = False
    native: Mapping[str, str] = field(default_factory=dict)
    native_absent: Mapping[str, str] = field(default_factory=dict)

    def modes_on(self, device: str) -> tuple[str, ...]:
        """Return the modes that run on `device`, the default first."""
        return tuple(mode for mode, devices in self.modes.items() if device in devices)

    def why_not_native(self, model: str, weights_from: str) -> str | None:
        """Return why a native network can't be had with such weights; None where it can."""
        if model not in self.native:
            reason = self.native_absent.get(model, "no zoo of networks ships with it")
            return f"{self.title} has no native {model}: {reason}"
        if weights_from == "pretrained" and not self.owns_reference:
            return (
                f"pretrained weights of {self.native[model]} are not fetched; save them as "
                f"{self.name}-{model}.safetensors or in {self.title}'s own format into a folder and say "
                "models.weights_from = that folder, or 'seeded'"
            )
        return None
