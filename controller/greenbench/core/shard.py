"""Shards: parts of one plan that hosts measure on their own, each made of whole blocks.

A block is one model at one batch size: all its runtimes, modes and precisions, in all rounds. Everything
that is compared side by side lies in one block, so that no comparison ever spans two hosts.
"""

import hashlib
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from greenbench.core.errors import ConfigurationError
from greenbench.core.plan import Cell, Plan
from greenbench.core.suite import Suite

_HOST_ONLY = ("gpu", "env")
"""Keys of the suite's ``host`` that may differ from host to host without making another plan."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Block:
    """What stays together on one host.

    Attributes:
        model: The model.
        batch_size: Samples per iteration.
    """

    model: str
    batch_size: int

    @property
    def block_id(self) -> str:
        """Readable identity, such as ``resnet50.b64``."""
        return f"{self.model}.b{self.batch_size}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Shard:
    """One part of a plan.

    Attributes:
        index: From 1.
        count: How many parts the plan is cut into.
    """

    index: int
    count: int

    @property
    def label(self) -> str:
        """As on the command line: ``2/3``."""
        return f"{self.index}/{self.count}"


def parse_shard(text: str) -> Shard:
    """Read ``I/N``.

    Raises:
        ConfigurationError: Not two whole numbers with 1 <= I <= N.
    """
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip())
    index, count = (int(number) for number in found.groups()) if found else (0, 0)
    if not 1 <= index <= count:
        raise ConfigurationError(f"--shard {text!r} is not I/N with 1 <= I <= N, such as 2/3")
    return Shard(index=index, count=count)


def block_of(cell: Cell) -> Block:
    """Return the block that a cell lies in."""
    return Block(model=cell.workload.model, batch_size=cell.workload.batch_size)


def blocks_of(suite: Suite) -> tuple[Block, ...]:
    """Return the blocks of a suite, sorted; the same on every host, whatever runs there.

    Blocks that the suite excludes as a whole are none.
    """
    pairs = product(suite.matrix.model, suite.matrix.batch_size)
    found = (Block(model=model, batch_size=batch) for model, batch in pairs)
    return tuple(sorted(block for block in found if not _excluded(block, suite)))


def _excluded(block: Block, suite: Suite) -> bool:
    own: dict[str, str | int] = {"model": block.model, "batch_size": block.batch_size}
    return any(rule.items() <= own.items() for rule in suite.exclusions)


def share_of(blocks: Sequence[Block], shard: Shard, *, seed: int) -> tuple[Block, ...]:
    """Return the blocks of one shard; the shards of a plan are disjoint, and all of it together.

    Args:
        blocks: Of the whole plan.
        shard: Which part.
        seed: Of the plan: the same seed deals the same blocks.

    Raises:
        ConfigurationError: There are fewer blocks than shards.
    """
    if shard.count > len(blocks):
        raise ConfigurationError(
            f"--shard {shard.label}: the suite has {len(blocks)} blocks (model x batch), which stay whole; "
            f"use at most {len(blocks)} shards"
        )
    dealt = sorted(blocks)
    random.Random(f"{seed} shards").shuffle(dealt)  # noqa: S311 - who measures what, not a secret
    return tuple(sorted(dealt[shard.index - 1 :: shard.count]))


def part_of(plan: Plan, blocks: Sequence[Block]) -> Plan:
    """Return the loads of these blocks, in the whole plan's order and with their positions in it."""
    wanted = set(blocks)
    return replace(plan, loads=tuple(load for load in plan.loads if block_of(load.cell) in wanted))


def plan_sha256(suite: Suite, *, seed: int, device: str) -> str:
    """Return the SHA-256 of what makes two hosts' plans one plan.

    Args:
        suite: As resolved; which GPU and which adopted environments a host uses is its own affair.
        seed: Of the order and of the shards.
        device: ``cpu`` or ``cuda``, decided: ``auto`` may come out differently on another host.
    """
    asked = suite.as_mapping()
    asked["host"] = {key: value for key, value in asked["host"].items() if key not in _HOST_ONLY}
    asked["host"]["device"] = device
    text = json.dumps({"suite": asked, "seed": seed}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
