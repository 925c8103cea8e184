"""Kills a run with SIGKILL at random moments, resumes it, and checks that nothing was lost or done twice.

`python -m campaigns.kills --kills 200`: real runs of a real runtime, one after the other. Most kills hit
the controller, the others the runtime. Prints a line per broken promise; status 1 where there is one.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

RUN = (
    *("--device", "cpu", "--only", "runtime=onnxruntime,model=mobilenet_v2", "--rounds", "4"),
    *("--windows", "2", "--set", "protocol.window_s=0.3", "--set", "protocol.warmup_cap_s=0.5"),
    *("--set", "protocol.baseline_host_s=0.2", "--set", "protocol.baseline_loaded_s=0.2"),
    *("--set", "protocol.rest_cap_s=0.1", "--set", "validity.not_steady.invalid=1000.0"),
)
RUNTIME_SHARE = 0.25
"""Share of kills that hit the runtime."""

LONGEST_S = 600.0
SIGKILLED = -signal.SIGKILL


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was done and found.

    Attributes:
        kills: By what was hit.
        runs: Runs that were killed and ended whole.
        trials: Rows that had been written before a kill, each looked up afterwards.
        broken: One sentence for each broken promise.
    """

    kills: dict[str, int] = field(default_factory=lambda: {"controller": 0, "runtime": 0})
    runs: int = 0
    trials: int = 0
    broken: list[str] = field(default_factory=list)


def events_of(folder: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a run's log; none where there is no log yet."""
    log = folder / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True) if log.exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def trials_of(folder: Path) -> dict[str, Any]:
    """Return trial_id -> row of every trial that is on disk."""
    rows = [event["trial"] for event in events_of(folder) if event["event"] == "trial"]
    return {row["trial_id"]: row for row in rows}


class Campaign:
    """Runs, kills and checks in one folder."""

    def __init__(self, out: Path, *, launcher: str, seed: int) -> None:
        """Prepare a campaign.

        Args:
            out: Parent of the runs' folders.
            launcher: ``venv`` or ``docker``.
            seed: Of the moments.
        """
        self._out = out
        self._launcher = launcher
        self._random = random.Random(seed)  # noqa: S311 - moments, not secrets
        self.tally = Tally()

    def until(self, kills: int) -> Tally:
        """Go on until so many kills have hit."""
        while sum(self.tally.kills.values()) < kills:
            self._one_run(kills - sum(self.tally.kills.values()))
            print(f"{self.tally.kills}, {self.tally.runs} runs, {len(self.tally.broken)} broken", flush=True)
        return self.tally

    def _one_run(self, left: int) -> None:
        before = set(self._folders())
        began, length_s = time.monotonic(), 12.0
        for _ in range(min(left, self._random.randint(1, 6))):
            folder = next(iter(set(self._folders()) - before), None)
            seen = trials_of(folder) if folder else {}
            if not self._killed(folder, self._random.uniform(0.2, length_s)):
                break
            folder = next(iter(set(self._folders()) - before), None)
            self._kept(folder, seen)
            length_s = max(length_s, (time.monotonic() - began) / 2)
        folder = next(iter(set(self._folders()) - before), None)
        seen = trials_of(folder) if folder else {}
        ended = subprocess.run(
            self._command(folder), capture_output=True, text=True, timeout=LONGEST_S, check=False
        )
        folder = next(iter(set(self._folders()) - before), None)
        if folder is None:
            self.tally.broken.append(f"no run came of it: {ended.stderr[-300:]}")
            return
        self._kept(folder, seen)
        self._whole(folder, ended)

    def _folders(self) -> Iterator[Path]:
        return (item.parent for item in self._out.glob("*/manifest.json"))

    def _command(self, folder: Path | None) -> list[str]:
        resume = ["--resume", str(folder)] if folder else list(RUN)
        base = [sys.executable, "-m", "greenbench.cli", "run", "--launcher", self._launcher]
        return [*base, "--out", str(self._out), *resume]

    def _killed(self, folder: Path | None, moment_s: float) -> bool:
        """Start or resume, and kill after a while; False where the run had ended by then."""
        process = subprocess.Popen(
            self._command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(moment_s)
        except subprocess.TimeoutExpired:
            pass
        else:
            return False
        victim = self._runtime() if self._random.random() < RUNTIME_SHARE else None
        if victim is not None:
            victim.kill()
            self.tally.kills["runtime"] += 1
            time.sleep(self._random.uniform(0.0, 2.0))
        process.kill()
        self.tally.kills["controller"] += process.wait() == SIGKILLED
        return True

    def _runtime(self) -> psutil.Process | None:
        notes = (_state() / "run").glob("*/process.json")
        for note in notes:
            try:
                return psutil.Process(int(json.loads(note.read_text())["pid"]))
            except (OSError, ValueError, psutil.Error):
                continue
        return None

    def _kept(self, folder: Path | None, seen: dict[str, object]) -> None:
        now = trials_of(folder) if folder else {}
        self.tally.trials += len(seen)
        for trial_id, row in seen.items():
            if now.get(trial_id) != row:
                self.tally.broken.append(f"{folder}: {trial_id} was finished before a kill and changed")

    def _whole(self, folder: Path, ended: subprocess.CompletedProcess[str]) -> None:
        self.tally.runs += 1
        found = list(_broken(folder, ended))
        self.tally.broken += [f"{folder.name}: {sentence}" for sentence in found]


def _state() -> Path:
    return Path(os.environ["GREENBENCH_STATE"])


def _broken(folder: Path, ended: subprocess.CompletedProcess[str]) -> Iterator[str]:
    events = events_of(folder)
    if not events or events[-1]["event"] != "run_finished":
        yield f"it did not finish (status {ended.returncode}): {ended.stderr[-300:]}"
        return
    rows = [event["trial"] for event in events if event["event"] == "trial"]
    windows = [(row["load_id"], row["window"]) for row in rows if row["begin_ns"] is not None]
    if len(set(windows)) < len(windows):
        yield "a window was measured twice"
    order = json.loads((folder / "manifest.json").read_text())["order"]
    if {(load, number) for load in order for number in (1, 2)} != set(windows):
        yield f"it holds {len(set(windows))} windows of {2 * len(order)}"
    if left := [str(item) for item in folder.rglob("*") if item.suffix == ".tmp" or item.name == "parts"]:
        yield f"leftovers: {left}"
    if running := [str(process.pid) for process in _runtimes_alive()]:
        yield f"runtimes that still run: {running}"
    command = [sys.executable, "-m", "greenbench.cli", "verify", str(folder)]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    if verified.returncode:
        yield f"verify: {verified.stdout[:600]}"


def _runtimes_alive() -> Iterator[psutil.Process]:
    place = str(_state())
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if any("greenbench_runtime" in word for word in line) and any(place in word for word in line):
            yield process


def table(tally: Tally, *, seed: int, launcher: str, seconds: float) -> str:
    """Return the campaign as Markdown."""
    kills, broken = tally.kills, len(tally.broken)
    lines = [
        f"{datetime.now(UTC):%F}, {os.cpu_count()} CPUs, launcher {launcher}, seed {seed}, {seconds:.0f} s.",
        "",
        "| killed controllers | killed runtimes | runs that ended whole | finished rows looked up | broken |",
        "|---|---|---|---|---|",
        f"| {kills['controller']} | {kills['runtime']} | {tally.runs} | {tally.trials} | {broken} |",
    ]
    return "\n".join([*lines, "", *(f"- {sentence}" for sentence in tally.broken)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--launcher", default="venv", choices=("venv", "docker"))
    parser.add_argument("--table", type=Path, help="Append the result here.")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="greenbench-kills-") as folder:
        campaign = Campaign(Path(folder), launcher=options.launcher, seed=options.seed)
        tally = campaign.until(options.kills)
    seconds = time.monotonic() - began
    said = table(tally, seed=options.seed, launcher=options.launcher, seconds=seconds)
    print(said)
    if options.table:
        options.table.write_text(
            f"# Kills at random moments\n\n`make kill-campaign N={options.kills}`. {said}\n"
        )
    return int(bool(tally.broken))


if __name__ == "__main__":
    sys.exit(main())
