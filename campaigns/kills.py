"""Hits a run at random moments, resumes it, and checks that nothing was lost or done twice.

`python -m campaigns.kills --kills 20 --kept FILE`: real runs of a real runtime, one after the other. The
controller, the runtime or its container, a Docker Engine of the campaign's own are killed or restarted;
writes are torn, disks are filled. Prints a line per broken promise; status 1 where there is one.
"""

import argparse
import errno
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from campaigns.own_engine import engine_program, own_engine
from campaigns.site import IMAGE, RUNTIME, Site, containers_made, small_disks
from campaigns.tally import Tally, keep_chunks, read_chunks, table
from campaigns.torn import tear
from campaigns.whole import broken_promises, events_of, trials_of

RUN = (
    *("--device", "cpu", "--only", f"runtime={RUNTIME},model=mobilenet_v2", "--rounds", "4"),
    *("--windows", "2", "--set", "protocol.window_s=0.3", "--set", "protocol.warmup_cap_s=0.5"),
    *("--set", "protocol.baseline_host_s=0.2", "--set", "protocol.baseline_loaded_s=0.2"),
    *("--set", "protocol.rest_cap_s=0.1", "--set", "validity.not_steady.invalid=1000.0"),
)
SHARES = {
    "controller": 0.3,
    "runtime": 0.2,
    "torn write": 0.15,
    "full disk": 0.1,
    "full state": 0.1,
    "engine killed": 0.1,
    "engine restarted": 0.1,
}
"""How often each kind of fault is drawn, of those that can be done."""

BALLAST = "ballast"
FILL_TRIES = 50

LONGEST_S = 600.0
SIGKILLED = -signal.SIGKILL


class Campaign:
    """Runs, hits and checks at one site."""

    def __init__(self, site: Site, *, seed: int, kinds: Sequence[str] = tuple(SHARES)) -> None:
        """Prepare a campaign.

        Args:
            site: Where.
            seed: Of the moments.
            kinds: Of faults, where the site allows them.
        """
        self._site = site
        self._random = random.Random(seed)  # noqa: S311 - moments, not secrets
        self._shares = {kind: SHARES[kind] for kind in kinds if site.can(kind)}
        self._deaths = 0
        self.tally = Tally(seed=seed, launcher=site.launcher)

    def until(self, hits: int) -> Tally:
        """Go on until so many faults have hit."""
        made = self._site.victims.made()
        while self.tally.hits < hits:
            self._one_run(hits - self.tally.hits)
            print(f"{self.tally.kills}, {self.tally.runs} runs, {len(self.tally.broken)} broken", flush=True)
        if more := self._site.victims.made() - made:
            self.tally.broken.append(f"containers left behind: {sorted(more)}")
        return self.tally

    def _one_run(self, left: int) -> None:
        before = set(self._folders())
        began, length_s = time.monotonic(), 12.0
        self._deaths = 0
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
            self._command(folder),
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
            env=self._site.environment,
        )
        folder = next(iter(set(self._folders()) - before), None)
        if folder is None:
            self.tally.broken.append(f"no run came of it: {ended.stderr[-300:]}")
            return
        self._kept(folder, seen)
        self.tally.runs += 1
        found = broken_promises(self._site, folder, ended, deaths=self._deaths)
        self.tally.broken += [f"{folder.name}: {sentence}" for sentence in found]

    def _folders(self) -> Iterator[Path]:
        return (item.parent for item in self._site.out.glob("*/manifest.json"))

    def _command(self, folder: Path | None) -> list[str]:
        more = ["--resume", str(folder)] if folder else list(RUN)
        out = str(self._site.out)
        return self._site.command("run", "--launcher", self._site.launcher, "--out", out, *more)

    def _hit(self, folder: Path | None, moment_s: float) -> bool:
        """Start or resume, and do harm after a while; False where the run had ended by then."""
        process = subprocess.Popen(
            self._command(folder),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=self._site.environment,
        )
        try:
            process.communicate(timeout=moment_s)
        except subprocess.TimeoutExpired:
            pass
        else:
            return False
        kind = self._random.choices(list(self._shares), list(self._shares.values()))[0]
        if kind.startswith("full"):
            self._fill(process, kind)
        elif kind.startswith("engine"):
            self._restart_engine(process, kind)
        else:
            self._kill(process, kind)
        return True

    def _kill(self, process: subprocess.Popen[str], kind: str) -> None:
        if kind == "runtime" and self._site.victims.kill():
            self.tally.kills["runtime"] += 1
            self._deaths += 1
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

    def _fill(self, process: subprocess.Popen[str], kind: str) -> None:
        """Take all but a little of the room there is; the run says so and ends by itself, or needs none."""
        disk = self._site.out if kind == "full disk" else self._site.state
        slack = self._random.randrange(0, 64 << 10) if kind == "full disk" else 0
        ballast = disk / BALLAST
        try:
            _occupy(ballast, slack)
            _, said = process.communicate(timeout=LONGEST_S)
        finally:
            ballast.unlink()
            process.kill()
        self._told(kind, said, of=("the disk is full", "GiB free at "))
        # A run that ended well needed no more room, and was not hit.
        self.tally.kills[kind] += process.returncode != 0

    def _restart_engine(self, process: subprocess.Popen[str], kind: str) -> None:
        engine = self._site.engine
        assert engine is not None
        engine.kill() if kind == "engine killed" else engine.end()
        time.sleep(self._random.uniform(0.0, 4.0))
        engine.start()
        _, said = process.communicate(timeout=LONGEST_S)
        self._told(kind, said, of=("Docker Engine",))
        # A run that ended well was past its last container, and was not hit.
        self.tally.kills[kind] += process.returncode != 0
        self._deaths += 1

    def _told(self, kind: str, said: str, *, of: tuple[str, ...]) -> None:
        """A run that gave up says why in one line; one that needed nothing of what failed ends well."""
        gave_up = next((line for line in said.splitlines() if line.startswith("greenbench: ")), "")
        if "Traceback" in said or (gave_up and not any(word in gave_up for word in of)):
            self.tally.broken.append(f"{kind}, and the run said: {said[-600:]!r}")

    def _kept(self, folder: Path | None, seen: dict[str, object]) -> None:
        now = trials_of(folder) if folder else {}
        self.tally.trials += len(seen)
        for trial_id, row in seen.items():
            if now.get(trial_id) != row:
                self.tally.broken.append(f"{folder}: {trial_id} was finished before a fault and changed")


def _occupy(ballast: Path, slack: int) -> None:
    """Make a file that leaves so many bytes of its disk, while a run writes there too."""
    with ballast.open("wb") as file:
        for _ in range(FILL_TRIES):
            free = os.statvfs(ballast.parent)
            try:
                os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_frsize - slack))
            except OSError as err:
                if err.errno != errno.ENOSPC:
                    raise
                file.truncate(0)  # the run took some of it in between
            else:
                return
    raise SystemExit(f"{ballast.parent} could not be filled in {FILL_TRIES} tries")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--launcher", default="venv", choices=("venv", "docker"))
    parser.add_argument("--kept", type=Path, help="JSON file that a chunk is added to; a .md lies beside it.")
    parser.add_argument("--small-disk", action="store_true", help="Mount tmpfs and fill them; needs root.")
    parser.add_argument("--own-engine", action="store_true", help="Start a second dockerd; needs root.")
    parser.add_argument("--kinds", nargs="+", default=list(SHARES), choices=list(SHARES), help="Of faults.")
    options = parser.parse_args(arguments)
    chunks = read_chunks(options.kept) if options.kept else []
    began, seed = time.monotonic(), options.seed or 1 + max((chunk.seed for chunk in chunks), default=0)
    with ExitStack() as stack:
        tally = Campaign(_site(options, stack), seed=seed, kinds=options.kinds).until(options.kills)
    tally.seconds = round(time.monotonic() - began, 1)
    print(table([*chunks, tally]))
    if options.kept:
        keep_chunks(options.kept, [*chunks, tally])
    return int(bool(tally.broken))


def _site(options: argparse.Namespace, stack: ExitStack) -> Site:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gb-kills-")))
    program = engine_program() if options.own_engine else None
    if options.own_engine and program is None:
        sys.exit("--own-engine: there is no dockerd on the path or running")
    engine = stack.enter_context(own_engine(program, [IMAGE])) if program else None
    out, state = folder, Path(os.environ["GREENBENCH_STATE"])
    if options.small_disk:
        out, state = stack.enter_context(small_disks(folder, state))
    site = Site(out=out, state=state, launcher=options.launcher, engine=engine, small=options.small_disk)
    if site.launcher == "docker" and (engine or site.small):
        stack.enter_context(containers_made(site))
    return site


if __name__ == "__main__":
    sys.exit(main())
