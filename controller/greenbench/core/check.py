"""One line of `greenbench doctor`."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that `doctor` looked at.

    Attributes:
        name: What was looked at.
        level: ``ok``; ``warn`` (a measurement will lack something); ``fail`` (nothing can be run).
        figure: What was found.
        remedy: What to do; empty where nothing is.
    """

    name: str
    level: Level
    figure: str
    remedy: str = ""
