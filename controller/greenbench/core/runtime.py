"""A runtime as the catalogue describes it."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceBuild:
    """How a runtime is built for one kind of device.

    Attributes:
        requirements: File name in ``docker/requirements``; empty where the build is only adopted.
        extra_index_url: Package index that serves this build; used only where the host's pip
            configuration names no index and no find-links folder of its own.
        architectures: ``sm_80`` ...: GPUs it ships kernels for; empty for the CPU.
        cuda: Major version of the CUDA libraries it ships, which the driver must know; 0 for the CPU.
        precisions: Precisions of this build, where they are fewer than the runtime's; empty for all of them.
        brought: What an environment has to hold that is adopted for this build, where there is no other way
            to it; empty where greenbench builds it.
    """

    requirements: str
    extra_index_url: str | None = None
    architectures: tuple[str, ...] = ()
    cuda: int = 0
    precisions: tuple[str, ...] = ()
    brought: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSpec:
    """One runtime of the catalogue.

    Attributes:
        name: As users write it; of another build of a runtime, the runtime's and its own (see `builds`).
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
        builds: Other builds of the same runtime, with packages, image and environment of their own, for the
            modes that they name: no single set of packages holds all modes of every runtime.
        build_of: The catalogue's name of the runtime that this is another build of; None for its usual one.
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
    builds: tuple["RuntimeSpec", ...] = ()
    build_of: str | None = None

    @property
    def family(self) -> str:
        """The runtime's name in the catalogue, whichever build this is."""
        return self.build_of or self.name

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

    def build_for(self, mode: str) -> "RuntimeSpec":
        """Return the build that runs `mode`: one that names it, else the usual one."""
        return next((build for build in self.builds if mode in build.modes), self)

    def builds_on(self, device: str, adopted: Container[str] = ()) -> tuple["RuntimeSpec", ...]:
        """Return every build that there is for `device`, the usual one first.

        Args:
            device: ``cpu`` or ``cuda``.
            adopted: Builds whose environment the user gave; those that are only adopted are left out else.
        """
        there = (build for build in (self, *self.builds) if device in build.devices)
        return tuple(build for build in there if not build.devices[device].brought or build.name in adopted)

    def own_modes_on(self, device: str) -> tuple[str, ...]:
        """Return the modes on `device` that run in this very build."""
        return tuple(mode for mode in self.modes_on(device) if self.build_for(mode) is self)
