"""What loads took on this host before: the base of every estimate of time left."""

import json
from collections.abc import Iterable
from pathlib import Path

from greenbench.core.plan import Cell, PlannedLoad, Protocol

UNKNOWN_OVERHEAD_S = 20.0
"""Start, load, proof and warm-up of a cell never measured on this host."""


class Durations:
    """Remembers, by cell, the seconds of a load that lie outside its windows and baselines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._overheads: dict[str, float] = json.loads(path.read_text())
        except (OSError, ValueError):
            self._overheads = {}  # Only an estimate is lost.

    def known(self, cell: Cell) -> bool:
        """Tell whether this cell was ever measured here."""
        return self._key(cell) in self._overheads

    def load_s(self, cell: Cell, protocol: Protocol) -> float:
        """Estimate the seconds of one load of a cell."""
        return self._overheads.get(self._key(cell), UNKNOWN_OVERHEAD_S) + _planned_s(protocol)

    def total_s(self, loads: Iterable[PlannedLoad], protocol: Protocol) -> float:
        """Estimate the seconds of several loads and of the closing B0."""
        return sum(self.load_s(load.cell, protocol) for load in loads) + protocol.baseline_host_s

    def learn(self, cell: Cell, protocol: Protocol, elapsed_s: float) -> None:
        """Remember what a load took."""
        self._overheads[self._key(cell)] = elapsed_s - _planned_s(protocol)
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(self._overheads, indent=1, sort_keys=True))
        partial.replace(self._path)

    @staticmethod
    def _key(cell: Cell) -> str:
        return f"{cell.device}/{cell.cell_id}"


def _planned_s(protocol: Protocol) -> float:
    quiet = protocol.baseline_loaded_s * (2 if protocol.rigorous else 1)
    return protocol.windows * protocol.window_s + quiet
