"""What `greenbench up` made or found."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from greenbench.core.parity import Proof
from greenbench.fleet.launcher import Build
from greenbench.report.inventory import conversion_lines, proof_lines
from greenbench.report.numbers import duration
from greenbench.results.events import plain


def print_up(builds: Mapping[str, Build], proofs: Sequence[Proof], console: Console) -> None:
    """Print one line per runtime and the parity table."""
    for name, build in builds.items():
        done = "pulled" if build.pulled else "built"
        how = "stands" if build.reused else f"{done} in {duration(build.elapsed_s)}"
        console.print(
            f"{name}: {how} ({build.launcher}, {build.device}, {build.identity[:23]})", soft_wrap=True
        )
        if build.reference:
            console.print(f"  {build.reference}", soft_wrap=True, markup=False)
        for note in build.notes:
            console.print(f"  {note}", soft_wrap=True, markup=False)
    console.print(
        "outputs against the PyTorch fp32 reference (native: their own framework's), eight golden inputs:"
    )
    for line in proof_lines(proofs):
        console.print(line, soft_wrap=True)
    if lines := conversion_lines(proofs):
        console.print("after conversion against before it, in the framework that owns the model:")
    for line in lines:
        console.print(line, soft_wrap=True)


def up_json(builds: Mapping[str, Build], proofs: Sequence[Proof]) -> dict[str, Any]:
    """Return the same as plain values."""
    plain_values: dict[str, Any] = plain({"builds": dict(builds), "parity": list(proofs)})
    return plain_values
