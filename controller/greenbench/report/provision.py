"""What `greenbench up` made or found."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from greenbench.core.parity import Proof
from greenbench.fleet.launcher import Build
from greenbench.report.inventory import conversion_lines, proof_lines
from greenbench.report.numbers import duration
from greenbench.report.visible import shown
from greenbench.results.events import plain


def print_up(builds: Mapping[str, Build], proofs: Sequence[Proof], console: Console) -> None:
    """Print one line per runtime and the parity table."""
    for name, build in builds.items():
        done = "pulled" if build.pulled else "built"
        how = "stands" if build.reused else f"{done} in {duration(build.elapsed_s)}"
        _say(console, f"{name}: {how} ({build.launcher}, {build.device}, {build.identity[:23]})")
        if build.reference:
            _say(console, f"  {build.reference}")
        for note in build.notes:
            _say(console, f"  {note}")
    console.print(
        "outputs against the PyTorch fp32 reference (native: their own framework's), eight golden inputs:"
    )
    for line in proof_lines(proofs):
        _say(console, line)
    if lines := conversion_lines(proofs):
        console.print("after conversion against before it, in the framework that owns the model:")
    for line in lines:
        _say(console, line)


def _say(console: Console, text: str) -> None:
    console.print(shown(text), soft_wrap=True)


def up_json(builds: Mapping[str, Build], proofs: Sequence[Proof]) -> dict[str, Any]:
    """Return the same as plain values."""
    plain_values: dict[str, Any] = plain({"builds": dict(builds), "parity": list(proofs)})
    return plain_values
