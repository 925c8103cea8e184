"""When a failed load is tried again, and when a run has no hope left."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from greenbench.core.errors import GreenbenchError, HopelessRunError, RuntimeCallError

ATTEMPTS = 2
"""A load that fails is tried once more."""

IN_A_ROW = 4
"""So many loads must fail, one after the other, before a run is given up."""

_SETTLED = frozenset({"FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED"})
"""Refusals that another try meets again."""


def worth_another_try(error: GreenbenchError, *, failed: int) -> bool:
    """Say whether a load that failed is tried once more.

    Args:
        error: What it failed with.
        failed: How many of its attempts failed, this one included, those before a resume too.
    """
    return failed < ATTEMPTS and not (isinstance(error, RuntimeCallError) and error.code in _SETTLED)


@dataclass(slots=True, kw_only=True)
class Breaker:
    """Counts loads that failed with all their attempts, one after the other.

    Attributes:
        failures: Runtime and reason of each since the last load that yielded something.
    """

    failures: list[tuple[str, str]] = field(default_factory=list)

    def ended(self, runtime: str, failure: str | None) -> None:
        """Hear how a load ended: its failure, or None where it yielded something."""
        self.failures = [*self.failures, (runtime, failure)] if failure is not None else []

    def check(self, runtimes_left: Iterable[str]) -> None:
        """Give up where loads fail in a row and no runtime is left that has not failed with them.

        Raises:
            HopelessRunError: Nothing that is left is likely to yield anything.
        """
        failed = {runtime for runtime, _ in self.failures}
        left = set(runtimes_left)
        if left and len(self.failures) >= IN_A_ROW and left <= failed:
            raise HopelessRunError(
                f"the last {len(self.failures)} loads failed, of every runtime that is left "
                f"({', '.join(sorted(left))}): {self.failures[-1][1]}; everything finished is kept, "
                "mend that and go on with --resume"
            )
