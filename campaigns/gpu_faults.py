"""Faults of a real GPU: its memory filled, a context lost, and the same cell measured again afterwards.

`python -m campaigns.gpu_faults [--env RUNTIME=PYTHON ...]` on a host with an NVIDIA GPU, after
`greenbench up pytorch onnxruntime`. Prints a Markdown table; status 1 where a row is not as promised.

- Memory: another process holds all but `LEFT_MIB` of it while BERT-base loads at a large batch. (A batch too
  large for an empty 80 GB card ends in other errors first: ONNX Runtime indexes with 32 bits.) Promised:
  ``RESOURCE_EXHAUSTED`` with a remedy, and a fresh process serves the small batch as before.
- A lost context: token numbers beyond the vocabulary trip PyTorch's device-side assertion, after which no
  call of that process can succeed. Promised: a sentence that says so, the server's exit status 4, and
  a fresh process computes what it did before. ONNX Runtime has no such row: nothing is known here that
  trips an assertion in it.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from campaigns.held_load import add_host_options, cell_of, options_of
from greenbench.bench.context import Context, open_context
from greenbench.bench.inputs import batch
from greenbench.core.errors import FleetError, RuntimeCallError, RuntimeDiedError
from greenbench.core.plan import Cell

MODEL, LENGTH = "bert_base", 128
LARGE_BATCH = 4096
"""The intermediate layer of BERT-base takes 6.4 GB in float32 at this batch."""

LEFT_MIB = 1024

BEYOND_VOCABULARY = 1 << 20
LOST_CONTEXT_STATUS = 4
LONGEST_END_S = 30.0
SAME = 1e-5
"""Largest relative difference between two processes that compute the same in fp32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault and what came of it.

    Attributes:
        runtime: Which.
        fault: What was done.
        said: What the client was told.
        kept: Whether all that is promised held.
    """

    runtime: str
    fault: str
    said: str
    kept: bool


def _cell(context: Context, runtime: str, batch_size: int) -> Cell:
    return cell_of(context, runtime=runtime, model=MODEL, batch_size=batch_size, sequence_length=LENGTH)


def _outputs(context: Context, runtime: str) -> NDArray[np.float32]:
    """Return a fresh process's outputs for one known row."""
    cell = _cell(context, runtime, 1)
    with context.house.running(runtime) as running:
        context.house.load(running, cell)
        running.client.stage(batch(MODEL, 1, LENGTH))
        output: NDArray[np.float32] = running.client.check()["output"]
        return output


@contextmanager
def _held_memory() -> Iterator[int]:
    """Hold all of the GPU's free memory but `LEFT_MIB` in a process of its own; yields the bytes held."""
    command = [sys.executable, "-m", "campaigns.hold_memory", str(LEFT_MIB)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin
        assert holder.stdout
        try:
            yield int(holder.stdout.readline())
        finally:
            holder.stdin.close()


def _full_memory(context: Context, runtime: str) -> Row:
    said, full = "nothing was refused", False
    with context.house.running(runtime) as running, _held_memory() as held:
        try:
            context.house.load(running, _cell(context, runtime, LARGE_BATCH))
            inputs = batch(MODEL, 1, LENGTH)
            running.client.stage({name: np.repeat(row, LARGE_BATCH, axis=0) for name, row in inputs.items()})
            running.client.check()
        except RuntimeCallError as err:
            said, full = str(err), err.code == "RESOURCE_EXHAUSTED"
        except FleetError as err:
            said = str(err)
    fault = f"{held >> 20} MiB held by another process, {LEFT_MIB} MiB left; batch {LARGE_BATCH}"
    return Row(runtime=runtime, fault=fault, said=said, kept=full)


def _lost_context(context: Context, runtime: str) -> Row:
    said, told = "nothing was refused", False
    with context.house.running(runtime) as running:
        context.house.load(running, _cell(context, runtime, 1))
        inputs = batch(MODEL, 1, LENGTH)
        inputs["input_ids"] = np.full_like(inputs["input_ids"], BEYOND_VOCABULARY)
        try:
            running.client.stage(inputs)
            running.client.check()
        except (RuntimeCallError, RuntimeDiedError) as err:
            said, told = str(err), "context is lost" in str(err)
        deadline = time.monotonic() + LONGEST_END_S
        while (state := running.instance.exit_state()) is None and time.monotonic() < deadline:
            time.sleep(0.1)
    ended = f"exit status {state.status}" if state else "the server lives on"
    kept = told and state is not None and state.status == LOST_CONTEXT_STATUS
    return Row(
        runtime=runtime, fault="token numbers beyond the vocabulary", said=f"{said} ({ended})", kept=kept
    )


def _again(context: Context, runtime: str, before: NDArray[np.float32]) -> Row:
    after = _outputs(context, runtime)
    error = float(np.linalg.norm(after - before) / np.linalg.norm(before))
    said = f"relative difference to the outputs before: {error:.1e}"
    return Row(runtime=runtime, fault="the same cell in a fresh process", said=said, kept=error < SAME)


def rows(context: Context, runtimes: Sequence[str]) -> Iterator[Row]:
    """Yield what each fault led to."""
    for runtime in runtimes:
        before = _outputs(context, runtime)
        yield _full_memory(context, runtime)
        if runtime == "pytorch":
            yield _lost_context(context, runtime)
        yield _again(context, runtime, before)


def table(found: Sequence[Row], gpu: str) -> str:
    """Return the result as Markdown."""
    head = f"# Faults of a real GPU\n\n`make gpu-faults`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {gpu}.\n\n"
    lines = ["| runtime | done to it | what the client is told | as promised |", "|---|---|---|---|"]
    lines += [
        f"| {row.runtime} | {row.fault} | {' '.join(row.said.split()).replace('|', '/')} | "
        f"{'yes' if row.kept else '**no**'} |"
        for row in found
    ]
    return head + "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; returns 1 where something was not as promised."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_host_options(parser, launcher="auto")
    parser.add_argument("--runtimes", nargs="+", default=["pytorch", "onnxruntime"])
    parser.add_argument("--table", type=Path)
    asked = parser.parse_args(arguments)
    with open_context(options_of(asked)) as context:
        found = tuple(rows(context, asked.runtimes))
        gpu = context.meters.facts["gpu"]
        said = table(found, f"{gpu['name']}, driver {gpu['driver']}")
    sys.stdout.write(said)
    if asked.table:
        asked.table.write_text(said, encoding="utf-8")
    return 0 if all(row.kept for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())
