"""What loads took on this host before: the base of every estimate of time left."""

import json
from collections.abc import Iterable
from pathlib import Path

from greenbench.core.plan import Cell, PlannedLoad, Protocol

UNKNOWN_OVERHEAD_S = 20.0
"""Start, load, proof and warm-up of a cell never measured on this host."""


class Durations:
    """Remembers, by cell, the seconds of a load that lie outside its windows and baselines."""

    def __init__(self, path: Path, *, idles: bool = True) -> None:
        """Read what is remembered.

        Args:
            path: Where it is kept.
            idles: Whether this host has an energy to be measured idle; without one no baseline is taken.
        """
        self._path, self._idles = path, idles
        try:
            self._overheads: dict[str, float] = json.loads(path.read_text())
        except (OSError, ValueError):
            self._overheads = {}  # Only an estimate is lost.

    def known(self, cell: Cell) -> bool:
        """Tell whether this cell was ever measured here."""
        return self._key(cell) in self._overheads

    def load_s(self, cell: Cell, protocol: Protocol) -> float:
        """Estimate the seconds of one load of a cell."""
        return self._overheads.get(self._key(cell), UNKNOWN_OVERHEAD_S) + self._planned_s(protocol)

    def total_s(self, loads: Iterable[PlannedLoad], protocol: Protocol) -> float:
        """Estimate the seconds of several loads and of every B0 after the first."""
        seconds = sum(self.load_s(load.cell, protocol) for load in loads)
        every_s = protocol.baseline_every_s
        again = 1 + int(seconds // every_s) if every_s else 0
        return seconds + again * self._idle_s(protocol)

    def run_s(self, loads: Iterable[PlannedLoad], protocol: Protocol) -> float:
        """Estimate the seconds of a whole run, the B0 before its first load included."""
        return self._idle_s(protocol) + self.total_s(loads, protocol)

    def _idle_s(self, protocol: Protocol) -> float:
        return protocol.baseline_host_s if self._idles else 0.0

    def _planned_s(self, protocol: Protocol) -> float:
        quiet_s = protocol.baseline_loaded_s * (2 if protocol.rigorous else 1) if self._idles else 0.0
        return protocol.windows * protocol.window_s + quiet_s

    def learn(self, cell: Cell, protocol: Protocol, elapsed_s: float) -> None:
        """Remember what a load took; a full disk costs the next run's estimate, not this one's load."""
        self._overheads[self._key(cell)] = elapsed_s - self._planned_s(protocol)
        partial = self._path.with_suffix(".partial")
        try:
            partial.write_text(json.dumps(self._overheads, indent=1, sort_keys=True))
            partial.replace(self._path)
        except OSError:
            partial.unlink(missing_ok=True)

    @staticmethod
    def _key(cell: Cell) -> str:
        return f"{cell.device}/{cell.cell_id}"
