"""What a run began in: images, driver and limits, which every later load is compared with."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from greenbench.fleet.launcher import Build
from greenbench.results.manifest import Manifest, RuntimeEntry

WATCHED = {
    "driver": "driver",
    "power_limit_w": "power limit (W)",
    "sm_clock_max_hz": "largest SM clock (Hz)",
    "sm_clock_application_hz": "application SM clock (Hz)",
    "mig": "MIG mode",
}
"""What of the GPU is compared, by its name among the meters' facts."""

LEAST_SLEEP_S = 0.01
"""Shorter sleeps than this are the two clocks being read one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a run began in, as its manifest says.

    Attributes:
        gpu: The GPU's facts; empty on the CPU.
        runtimes: Image or lock by runtime.
    """

    gpu: Mapping[str, Any] = field(default_factory=dict)
    runtimes: Mapping[str, RuntimeEntry] = field(default_factory=dict)

    def changes(self, runtime: str, build: Build | None, conditions: Mapping[str, Any]) -> tuple[str, ...]:
        """Return one sentence for each thing that is not as it was at the run's start.

        Args:
            runtime: Which was loaded.
            build: What it was started from; None where it did not start.
            conditions: Of the GPU, read now. What was not told then or is not told now is not compared,
                but for the driver.
        """
        return (*self._of_gpu(conditions), *self._of_runtime(runtime, build))

    def _of_gpu(self, now: Mapping[str, Any]) -> Iterator[str]:
        # Every driver tells its version: one that does not was unloaded, or has lost the GPU.
        if now and self.gpu.get("driver") is not None and now.get("driver") is None:
            yield f"driver was {self.gpu['driver']} at the run's start and no longer answers"
        for name, words in WATCHED.items():
            before, after = self.gpu.get(name), now.get(name)
            if None not in {before, after} and before != after:
                yield f"{words} was {before} at the run's start and is {after}"

    def _of_runtime(self, runtime: str, build: Build | None) -> Iterator[str]:
        # A runtime may have several builds, and the manifest has an entry for each.
        entry = self.runtimes.get(build.runtime) if build else None
        if entry is None or build is None:
            return
        image = build.identity if build.launcher == "docker" else None
        pairs = (
            ("launcher", entry.launcher, build.launcher),
            ("image", entry.image_digest, image),
            ("requirements", entry.lock_sha256, build.requirements_sha256),
        )
        for words, before, after in pairs:
            if before != after:
                yield f"{words} of {runtime} was {before} at the run's start and is {after}"


def sleep_of_host(slept_s: float) -> tuple[str, ...]:
    """Return a sentence where the host slept during a load.

    Windows do not see it, since CLOCK_MONOTONIC stands still; sensors and caches do.

    Args:
        slept_s: How long, seconds.
    """
    return (f"the host was suspended for {slept_s:.1f} s",) if slept_s >= LEAST_SLEEP_S else ()


def environment_of(manifest: Manifest) -> Environment:
    """Return what a run began in.

    Args:
        manifest: Written at its start and kept by resumes.
    """
    meters = manifest.host.get("meters") or {}
    return Environment(gpu=meters.get("gpu") or {}, runtimes=manifest.runtimes)
