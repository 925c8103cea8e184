"""Kills a run with SIGKILL at random moments, resumes it, and checks that nothing was lost or done twice.

`python -m campaigns.kills --kills 20 --kept FILE`: real runs of a real runtime, one after the other. Kills
hit the controller, the runtime (its container under ``docker``) or the engine below it; writes are torn, the
disk is filled. Prints a line per broken promise; status 1 where there is one.
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
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psutil

from campaigns.own_engine import OwnEngine, own_engine
from campaigns.tally import Tally, keep_chunks, read_chunks, table
from campaigns.torn import tear
from greenbench.fleet.state import StateFolder

RUN = (
    *("--device", "cpu", "--only", "runtime=onnxruntime,model=mobilenet_v2", "--rounds", "4"),
    *("--windows", "2", "--set", "protocol.window_s=0.3", "--set", "protocol.warmup_cap_s=0.5"),
    *("--set", "protocol.baseline_host_s=0.2", "--set", "protocol.baseline_loaded_s=0.2"),
    *("--set", "protocol.rest_cap_s=0.1", "--set", "validity.not_steady.invalid=1000.0"),
)
SHARES = {"controller": 0.4, "runtime": 0.25, "torn write": 0.2, "full disk": 0.15, "engine": 0.2}
"""How often each kind of fault is drawn; one that this campaign cannot do is a kill of the controller."""

BALLAST = "ballast"

LONGEST_S = 600.0
SIGKILLED = -signal.SIGKILL


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

    def __init__(self, out: Path, *, launcher: str, seed: int, engine: OwnEngine | None = None) -> None:
        """Prepare a campaign.

        Args:
            out: Parent of the runs' folders.
            launcher: ``venv`` or ``docker``.
            seed: Of the moments.
            engine: That runs the containers and may be killed; None under ``venv``.
        """
        self._out = out
        self._engine = engine
        self._engine_hit = False
        self._launcher = launcher
        self._random = random.Random(seed)  # noqa: S311 - moments, not secrets
        self.tally = Tally(seed=seed, launcher=launcher)

    def until(self, kills: int) -> Tally:
        """Go on until so many kills have hit."""
        while self.tally.hits < kills:
            self._one_run(kills - self.tally.hits)
            print(f"{self.tally.kills}, {self.tally.runs} runs, {len(self.tally.broken)} broken", flush=True)
        return self.tally

    def _one_run(self, left: int) -> None:
        before = set(self._folders())
        self._engine_hit = False
        began, length_s = time.monotonic(), 12.0
        for _ in range(min(left, self._random.randint(1, 6))):
            folder = next(iter(set(self._folders()) - before), None)
            seen = trials_of(folder) if folder else {}
            if not self._hit(folder, self._random.uniform(0.2, length_s)):
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

    def _hit(self, folder: Path | None, moment_s: float) -> bool:
        """Start or resume, and do harm after a while; False where the run had ended by then."""
        process = subprocess.Popen(
            self._command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            process.communicate(timeout=moment_s)
        except subprocess.TimeoutExpired:
            pass
        else:
            return False
        kind = self._random.choices(list(SHARES), list(SHARES.values()))[0]
        if kind == "full disk" and os.path.ismount(self._out):
            self._fill(process)
        elif kind == "engine" and self._engine is not None:
            self._restart(process, self._engine)
        else:
            self._kill(process, kind)
        return True

    def _kill(self, process: subprocess.Popen[str], kind: str) -> None:
        if kind == "runtime" and self._runtime_killed():
            self.tally.kills["runtime"] += 1
            time.sleep(self._random.uniform(0.0, 2.0))
        process.kill()
        process.communicate()
        if process.returncode != SIGKILLED:
            return
        folder = max(self._folders(), key=lambda path: path.stat().st_mtime_ns, default=None)
        torn = kind == "torn write" and folder is not None and events_of(folder)
        if torn and folder is not None:
            tear(folder, self._random)
        self.tally.kills["torn write" if torn else "controller"] += 1

    def _fill(self, process: subprocess.Popen[str]) -> None:
        """Take all but a little of the room there is; the run has to say so and end by itself."""
        free = os.statvfs(self._out)
        room = free.f_bavail * free.f_frsize - self._random.randrange(0, 64 << 10)
        ballast = self._out / BALLAST
        try:
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, max(1, room))
            _, said = process.communicate(timeout=LONGEST_S)
        finally:
            ballast.unlink()
        if process.returncode == 0:
            return
        self.tally.kills["full disk"] += 1
        if "the disk is full" not in said or "Traceback" in said:
            self.tally.broken.append(f"a full disk, and the run said: {said[-300:]!r}")

    def _restart(self, process: subprocess.Popen[str], engine: OwnEngine) -> None:
        """Restart the engine under the run; then let the run go on for a while, or kill it at once."""
        engine.restart(self._random.choice((signal.SIGKILL, signal.SIGTERM)))
        self._engine_hit = True
        self.tally.kills["engine"] += 1
        try:
            process.communicate(timeout=self._random.choice((0.0, 20.0)))
        except subprocess.TimeoutExpired:
            self._kill(process, "controller")

    def _runtime_killed(self) -> bool:
        if self._launcher == "docker":
            running = _containers("--quiet")
            return bool(running) and _docker("kill", "--signal", "KILL", *running).returncode == 0
        for note in (_state() / "run").glob("*/process.json"):
            try:
                psutil.Process(int(json.loads(note.read_text())["pid"])).kill()
            except (OSError, ValueError, psutil.Error):
                continue
            return True
        return False

    def _kept(self, folder: Path | None, seen: dict[str, object]) -> None:
        now = trials_of(folder) if folder else {}
        self.tally.trials += len(seen)
        for trial_id, row in seen.items():
            if now.get(trial_id) != row:
                self.tally.broken.append(f"{folder}: {trial_id} was finished before a kill and changed")

    def _whole(self, folder: Path, ended: subprocess.CompletedProcess[str]) -> None:
        self.tally.runs += 1
        found = list(_broken(folder, ended, may_fail=self._engine_hit))
        running = _containers("--quiet") if self._engine else [str(one.pid) for one in _runtimes_alive()]
        if running:
            found.append(f"runtimes that still run: {running}")
        self.tally.broken += [f"{folder.name}: {sentence}" for sentence in found]


def _state() -> Path:
    return Path(os.environ["GREENBENCH_STATE"])


def _containers(*options: str) -> list[str]:
    """Return this state folder's containers that run, as ``docker ps`` shows them."""
    label = f"label=greenbench.state={StateFolder.at(_state()).identity}"
    return _docker("ps", "--filter", label, *options).stdout.split()


def _docker(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False)


def _broken(folder: Path, ended: subprocess.CompletedProcess[str], *, may_fail: bool) -> Iterator[str]:
    """Yield broken promises.

    Args:
        folder: Of a run that was hit.
        ended: What resumed it last.
        may_fail: Whether a load may have failed with both attempts, which is kept and told.
    """
    events = events_of(folder)
    if not events or events[-1]["event"] != "run_finished":
        yield f"it did not finish (status {ended.returncode}): {ended.stderr[-300:]}"
        return
    rows = [event["trial"] for event in events if event["event"] == "trial"]
    windows = [(row["load_id"], row["window"]) for row in rows if row["begin_ns"] is not None]
    if len(set(windows)) < len(windows):
        yield "a window was measured twice"
    order = json.loads((folder / "manifest.json").read_text())["order"]
    failed = {row["load_id"] for row in rows if may_fail and row["failure"]} - {load for load, _ in windows}
    if {(load, number) for load in order if load not in failed for number in (1, 2)} != set(windows):
        yield f"it holds {len(set(windows))} windows of {2 * len(order)}"
    if left := [str(item) for item in folder.rglob("*") if item.suffix == ".tmp" or item.name == "parts"]:
        yield f"leftovers: {left}"
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--launcher", default="venv", choices=("venv", "docker"))
    parser.add_argument("--kept", type=Path, help="JSON file that a chunk is added to; a .md lies beside it.")
    parser.add_argument("--small-disk", action="store_true", help="Mount a tmpfs and fill it; needs root.")
    options = parser.parse_args(arguments)
    chunks = read_chunks(options.kept) if options.kept else []
    began, seed = time.monotonic(), options.seed or 1 + max((chunk.seed for chunk in chunks), default=0)
    with (
        tempfile.TemporaryDirectory(prefix="greenbench-kills-") as name,
        _small_disk(Path(name)) if options.small_disk else nullcontext(),
        _engine() if options.launcher == "docker" else nullcontext() as engine,
    ):
        campaign = Campaign(Path(name), launcher=options.launcher, seed=seed, engine=engine)
        tally = campaign.until(options.kills)
    tally.seconds = round(time.monotonic() - began, 1)
    print(table([*chunks, tally]))
    if options.kept:
        keep_chunks(options.kept, [*chunks, tally])
    return int(bool(tally.broken))


@contextmanager
def _engine() -> Iterator[OwnEngine]:
    """Yield an engine of our own on which ONNX Runtime's container stands."""
    with own_engine("greenbench/onnxruntime:cpu") as engine:
        up = [sys.executable, "-m", "greenbench.cli", "up", "onnxruntime", "--launcher", "docker"]
        subprocess.run(
            [*up, "--device", "cpu", "--set", "model=mobilenet_v2"], check=True, stdout=subprocess.DEVNULL
        )
        yield engine


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


if __name__ == "__main__":
    sys.exit(main())
