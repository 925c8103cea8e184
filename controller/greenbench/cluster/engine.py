"""One plan over several hosts: blocks are handed out, their trials heard as they end, and joined."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from greenbench import __version__
from greenbench.bench.planning import blocks_in
from greenbench.cluster.agent import Heard
from greenbench.cluster.asking import ask_all
from greenbench.cluster.card import HostCard, clock_note, image_note, refusals
from greenbench.cluster.dispatch import Dispatch, Task
from greenbench.cluster.replay import ADMITTED, DEALT, FINISHED, STARTED, Replay, replay, started
from greenbench.cluster.request import FleetRequest
from greenbench.cluster.shards import HostLostError, make_way, unpack
from greenbench.core.errors import ConfigurationError
from greenbench.core.progress import Observer
from greenbench.core.shard import Shard, blocks_of
from greenbench.report.reproduce import toml_lines
from greenbench.results.events import EventLog
from greenbench.results.merge import merge_shards
from greenbench.results.rows import trial_of
from greenbench.results.runs import MANIFEST
from greenbench.results.stored import StoredRun

POLL_S = 1.0
REJOIN_S = 60.0
"""How long blocks wait for a host of their kind to come back."""
REST_S = 10.0
"""How long a host rests after its controller failed: an earlier one may still hold the state folder."""
_ENDED = {0, 1}
"""A shard with invalid trials ends with 1 and is kept."""


class Host(Protocol):
    """A host that measures one shard at a time; every call may raise `HostLostError`."""

    name: str
    label: str | None

    def card(self, suite: str, launcher: str, device: str) -> HostCard:
        """Return what the host says of itself."""

    def start(self, suite: str, options: tuple[str, ...]) -> None:
        """Start measuring."""

    def hear(self) -> Heard:
        """Return what is new."""

    def collect(self) -> bytes:
        """Return the finished run's folder as a tar archive."""


class Hosts(Protocol):
    """The hosts there are; they come and go."""

    def arrived(self) -> Iterable[Host]:
        """Return hosts that are there and were not, or are again."""

    def abandon(self, host: Host) -> None:
        """End what a host does for us, where it can still be reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOutcome:
    """What came of it.

    Attributes:
        folders: Merged runs: one, or one per kind of host.
        notes: In what hosts differ.
        missing: One sentence per block that nobody measured.
    """

    folders: tuple[Path, ...]
    notes: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Fleet:
    """A run over several hosts, going on."""

    hosts: Hosts
    request: FleetRequest
    observer: Observer
    log: EventLog
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    before: Replay = field(default_factory=Replay)
    there: dict[str, tuple[Host, str]] = field(default_factory=dict)
    like: HostCard | None = None
    turned_away: list[str] = field(default_factory=list)
    rests_until_s: dict[str, float] = field(default_factory=dict)

    def measure(self) -> FleetOutcome:
        """Measure every block and join what was measured.

        Raises:
            ConfigurationError: No host may measure, with what each says.
        """
        blocks = blocks_of(self.request.suite)
        self.like = self.before.like
        dispatch = self._dealt(len(blocks))
        seen_s = self.clock()
        while not dispatch.done:
            self._turn(dispatch)
            seen_s = self.clock() if dispatch.running else seen_s
            if self.clock() - seen_s > REJOIN_S:
                dispatch.give_up((kind for _, kind in self.there.values()), "no host of its kind is left")
            if not dispatch.done:
                self.sleep(POLL_S)
                self._admit()
        return self._joined(dispatch, len(blocks))

    def _dealt(self, count: int) -> Dispatch:
        indexes, before = range(1, count + 1), self.before
        known = Dispatch(indexes, before.kinds, finished=before.finished)
        if known.done:
            self._check_not_joined(before.kinds)
            return known  # All is measured; what is left is to join it.
        self._admit()
        if not self.there:
            told = "; ".join(self.turned_away) or "no node has the resource greenbench_host"
            raise ConfigurationError(f"no host can measure this: {told}")
        if before.kinds or not self.request.replicate:
            return known
        kinds = tuple(dict.fromkeys(kind for _, kind in self.there.values()))
        self.log.append(DEALT, kinds=kinds)
        return Dispatch(indexes, kinds)

    def _check_not_joined(self, kinds: tuple[str, ...]) -> None:
        folders = [self.request.merged(kind) for kind in kinds or ("",)]
        if all(
            (out / MANIFEST).is_file() and not StoredRun(out).manifest().shards_missing for out in folders
        ):
            raise ConfigurationError(
                f"{self.request.run_id}: every block is measured and joined; nothing is left to resume"
            )

    def _turn(self, dispatch: Dispatch) -> None:
        measuring = [host for name, (host, _) in self.there.items() if name in dispatch.running]
        for host, heard in ask_all(measuring, lambda host: host.hear()):
            self._guarded(dispatch, host, partial(self._hear, dispatch, host, heard))
        for name, (host, kind) in list(self.there.items()):
            if name in dispatch.running or self.clock() < self.rests_until_s.get(name, 0.0):
                continue
            if task := dispatch.next_for(name, kind):
                self._guarded(dispatch, host, partial(self._start, host, task))

    def _guarded(self, dispatch: Dispatch, host: Host, work: Callable[[], None]) -> None:
        try:
            work()
        except HostLostError as err:
            self._lose(dispatch, host, str(err))

    def _admit(self) -> None:
        for host, said in ask_all(list(self.hosts.arrived()), self._card):
            if isinstance(said, HostLostError):
                self.observer.note(f"{host.name}: {said}")
                self.hosts.abandon(host)
            else:
                self._judge(host, *said)

    def _card(self, host: Host) -> tuple[HostCard, str]:
        asked_s = time.time()
        card = host.card(self._suite_text, self.request.launcher, self.request.device)
        return card, clock_note(card, asked_s=asked_s, answered_s=time.time())

    def _judge(self, host: Host, card: HostCard, note: str) -> None:
        kind = card.kind(host.label)
        reasons = list(refusals(card, version=__version__, like=self.like))
        wanted = self.request.gpu_model
        if not reasons and wanted and wanted.casefold() not in kind.casefold():
            reasons = [f"it is of kind {kind}, and --gpu-model asks for {wanted}"]
        if reasons:
            self.turned_away.append(f"{host.name}: {'; '.join(reasons)}")
            self.observer.note(self.turned_away[-1])
            self.log.append("host_refused", node=host.name, reasons=reasons)
            return
        note = "; ".join(filter(None, (note, image_note(card, self.like))))
        self.like = self.like or card
        self.there[host.name] = (host, kind)
        self.observer.note(f"{host.name} measures: {kind}" + (f"; {note}" if note else ""))
        self.log.append(ADMITTED, node=host.name, kind=kind, card=card, note=note)

    @property
    def _suite_text(self) -> str:
        return "\n".join(toml_lines(self.request.suite.as_mapping())) + "\n"

    def _start(self, host: Host, task: Task) -> None:
        asked, count = self.request, len(blocks_of(self.request.suite))
        options = ("--seed", str(asked.seed), "--shard", f"{task.index}/{count}", "--fleet-node", host.name)
        host.start(self._suite_text, (*options, "--launcher", asked.launcher, "--device", asked.device))
        self.observer.note(f"{host.name}: begins shard {task.index}/{count} (attempt {task.attempt})")
        self.log.append("block_started", node=host.name, shard=task.index, attempt=task.attempt)

    def _hear(self, dispatch: Dispatch, host: Host, heard: Heard | HostLostError) -> None:
        if isinstance(heard, HostLostError):
            raise heard
        task = dispatch.running[host.name]
        for event in map(json.loads, heard.lines):
            if event["event"] == "trial":
                # On this host's disk as soon as it is heard; its readings follow with the block.
                self.log.append(
                    "trial", node=host.name, shard=task.index, attempt=task.attempt, trial=event["trial"]
                )
                self.observer.trial_ended(trial_of(event["trial"]))
        if heard.status is None:
            return
        if heard.status not in _ENDED:
            self.rests_until_s[host.name] = self.clock() + REST_S
            self._fail(dispatch, host, f"the controller ended with {heard.status}: {heard.said[-400:]}")
            return
        unpack(host.collect(), self.request.folder_of(task))
        dispatch.finish(host.name)
        self.log.append(FINISHED, node=host.name, shard=task.index, kind=task.kind, attempt=task.attempt)

    def _lose(self, dispatch: Dispatch, host: Host, reason: str) -> None:
        self._fail(dispatch, host, f"the host was lost: {reason}")
        self.there.pop(host.name, None)
        self.hosts.abandon(host)

    def _fail(self, dispatch: Dispatch, host: Host, reason: str) -> None:
        task = dispatch.fail(host.name, reason)
        shard = task.index if task else None
        self.observer.note(f"{host.name}: {reason}" + (f"; shard {shard} is begun anew" if shard else ""))
        self.log.append("block_failed", node=host.name, shard=shard, reason=reason)

    def _joined(self, dispatch: Dispatch, count: int) -> FleetOutcome:
        folders: list[Path] = []
        notes: list[str] = []
        missing = tuple(
            f"shard {task.index}/{count}{f' on {task.kind}' if task.kind else ''}: {task.reason}"
            for task in sorted(dispatch.given_up, key=lambda task: (str(task.kind), task.index))
        )
        groups: dict[str, list[Task]] = {}
        for task in dispatch.finished:
            groups.setdefault(str(task.kind) if self.request.replicate else "", []).append(task)
        for kind, tasks in groups.items():
            out = self.request.merged(kind)
            make_way(out)
            shards = list(map(self.request.folder_of, tasks))
            found = merge_shards(shards, out, allow_incomplete=bool(missing))
            folders.append(found.folder)
            notes += found.notes
        return FleetOutcome(folders=tuple(folders), notes=tuple(notes), missing=missing)


def measure_fleet(
    hosts: Hosts, request: FleetRequest, observer: Observer, *, resume: bool = False, **changes: Any
) -> FleetOutcome:
    """Measure a suite over hosts that come and go.

    Args:
        hosts: Where they come from.
        request: What to measure; of a resumed run, as `replay` read it.
        observer: Hears of all hosts.
        resume: Whether the run's log is there, and what it says is measured is not measured again.
        **changes: Other clocks, in tests.

    Raises:
        ConfigurationError: No host may measure, or the suite cannot be cut into blocks.
        GreenbenchError: The disk here is full or refuses.
    """
    count = len(blocks_of(request.suite))
    blocks_in(request.suite, Shard(index=1, count=count), seed=request.seed)
    request.out.mkdir(parents=True, exist_ok=True)
    with EventLog(request.log) as log:
        before = replay(request.log, version=__version__)[1] if resume else Replay()
        if resume:
            log.append("fleet_resumed", finished=len(before.finished))
        else:
            log.append(STARTED, **started(request, __version__))
        fleet = Fleet(hosts=hosts, request=request, observer=observer, log=log, before=before, **changes)
        return fleet.measure()
