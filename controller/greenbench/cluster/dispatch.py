"""Which host measures which block: pure bookkeeping, no host is spoken to here."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

ATTEMPTS = 3
"""How often a block is begun at most: lost hosts count, so that a block that kills hosts ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One shard of one block, to be measured whole on one host.

    Attributes:
        index: Number of the shard, from 1.
        kind: Kind of host it belongs to; None until a host of some kind has begun it.
        attempt: From 1.
        reason: Why the attempt before came to nothing; empty at first.
    """

    index: int
    kind: str | None = None
    attempt: int = 1
    reason: str = ""


class Dispatch:
    """Deals tasks to hosts. A task is waiting, running on one host, finished, or given up."""

    def __init__(
        self, indexes: Iterable[int], kinds: Iterable[str] = (), *, finished: Iterable[Task] = ()
    ) -> None:
        """Take what is to be measured.

        Args:
            indexes: Numbers of the shards.
            kinds: Every kind measures every shard; empty: each shard is measured once, anywhere.
            finished: What an earlier controller saw measured.
        """
        named = tuple(kinds)
        own = named or (None,)
        self.finished: list[Task] = list(finished)
        done = {(task.index, task.kind if named else None) for task in self.finished}
        every = [Task(index=index, kind=kind) for index in indexes for kind in own]
        self.waiting = [task for task in every if (task.index, task.kind) not in done]
        self.running: dict[str, Task] = {}
        self.given_up: list[Task] = []

    @property
    def done(self) -> bool:
        """Whether nothing is waiting or running."""
        return not (self.waiting or self.running)

    def next_for(self, host: str, kind: str) -> Task | None:
        """Hand an idle host its next task; None where there is none for its kind."""
        task = next((task for task in self.waiting if task.kind in {None, kind}), None)
        if task is None or host in self.running:
            return None
        self.waiting.remove(task)
        self.running[host] = replace(task, kind=kind)
        return self.running[host]

    def finish(self, host: str) -> Task:
        """Note that a host has measured its task whole."""
        task = self.running.pop(host)
        self.finished.append(task)
        return task

    def fail(self, host: str, reason: str) -> Task | None:
        """Note that a host was lost or could not measure its task: it is begun anew, first of all.

        Returns:
            The task, or None where the host had none.
        """
        task = self.running.pop(host, None)
        if task is None:
            return None
        if task.attempt >= ATTEMPTS:
            self.given_up.append(replace(task, reason=reason))
        else:
            self.waiting.insert(0, replace(task, attempt=task.attempt + 1, reason=reason))
        return task

    def give_up(self, kinds: Iterable[str], reason: str) -> None:
        """Give up what waits for a kind of host that is not among those there are."""
        there = set(kinds)
        lost = [task for task in self.waiting if (task.kind not in there if task.kind else not there)]
        self.waiting = [task for task in self.waiting if task not in lost]
        self.given_up += [replace(task, reason=task.reason or reason) for task in lost]
