"""What a host says of itself before it may measure, and who is turned away."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

CLOCKS_S = 1.0
"""Times of day that differ by more are named. Nothing is computed from two hosts' clocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCard:
    """A host, as it sees itself.

    Attributes:
        host_id: Tells hosts apart.
        greenbench_version: Installed there.
        device: ``cpu`` or ``cuda``, decided there.
        model: Name of its GPU; of its processor where it measures on the CPU.
        driver: Of its GPU; None on the CPU.
        launcher: ``docker`` or ``venv``, decided there.
        requirements: Runtime -> hash of its lock, or the adopted Python.
        contents: Runtime -> hash of what is in its image or environment: files, Python, every package.
        images: Runtime -> digest of its image; none under ``venv``.
        problem: Why it cannot measure this suite; empty where it can.
        utc_s: Its time of day, seconds since 1970.
    """

    host_id: str = ""
    greenbench_version: str = ""
    device: str = ""
    model: str = ""
    driver: str | None = None
    launcher: str = ""
    requirements: Mapping[str, str] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    utc_s: float = 0.0

    def kind(self, label: str | None) -> str:
        """Return what makes two hosts of one kind: model as labelled or as the driver names it, and driver.

        Args:
            label: The node's label for its model; None without one.
        """
        model = label or self.model
        return f"{model}, driver {self.driver}" if self.driver else model


def refusals(card: HostCard, *, version: str, like: HostCard | None) -> Iterator[str]:
    """Yield why a host may not measure.

    Args:
        card: Of the host.
        version: greenbench on the host that asks.
        like: The first host that was admitted: all measure with its packages, in images of the same contents,
            on its device.
    """
    if card.problem:
        yield card.problem
        return
    if card.greenbench_version != version:
        yield f"it has greenbench {card.greenbench_version}, and {version} asks; install the same on both"
    if like is None:
        return
    if card.device != like.device:
        yield f"it measures on {card.device}, the first host on {like.device}; say --device"
    if card.launcher != like.launcher:
        # Their images or environments are other ones by that alone.
        yield f"its launcher is {card.launcher}, the first host's is {like.launcher}; say --launcher"
        return
    for name in sorted(card.requirements.keys() | like.requirements.keys()):
        here, there = card.requirements.get(name), like.requirements.get(name)
        if here != there:
            yield f"{name} is built from {here or 'nothing'}, on the first host from {there or 'nothing'}"
        elif (holds := card.contents.get(name)) != (held := like.contents.get(name)):
            yield (
                f"{name} holds other files or packages ({_short(holds)}) than on the first host "
                f"({_short(held)}); run the same `greenbench up --pull` or `up` on both"
            )


def image_note(card: HostCard, like: HostCard | None) -> str:
    """Return a sentence where images of the same contents are not the same image; else nothing.

    Args:
        card: Of a host that may measure.
        like: The first host that was admitted; None for that one itself.
    """
    others = (
        [
            f"{name} {_short(digest)}, on the first host {_short(like.images.get(name))}"
            for name, digest in sorted(card.images.items())
            if digest != like.images.get(name)
        ]
        if like
        else []
    )
    return f"its images hold the same and were built apart ({'; '.join(others)})" if others else ""


def _short(digest: str | None) -> str:
    return digest[:19] if digest else "unknown"


def clock_note(card: HostCard, *, asked_s: float, answered_s: float) -> str:
    """Return a sentence where a host's time of day is surely off by more than `CLOCKS_S`; else nothing.

    Args:
        card: As it came.
        asked_s: Time of day here when it was asked for, seconds since 1970.
        answered_s: When it came.
    """
    off_s = max(asked_s - card.utc_s, card.utc_s - answered_s, 0.0)
    if off_s <= CLOCKS_S:
        return ""
    return f"its time of day is off by {off_s:.1f} s or more: stamps of its events are, its windows are not"
