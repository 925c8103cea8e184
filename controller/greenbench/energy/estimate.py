"""CPU energy by a model, for hosts without a meter: a column of its own, never in totals.

The model is a load model: a busy core draws a fixed power. It is not a measurement; its band says so.
"""

from dataclasses import dataclass

WATTS_PER_BUSY_CORE = 8.0
"""Middle of what server and laptop cores draw under load: package power at full load over its cores."""

BAND = 0.4
"""Half the width of the band, relative: processors from 5 to 11 W a core lie inside."""


ESTIMATE_FACTS = {
    "model": "CPU seconds of the runtime times a fixed power of a busy core",
    "watts_per_busy_core": WATTS_PER_BUSY_CORE,
    "band_rel": BAND,
    "in_totals": False,
}
"""What a run that estimates keeps in its manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An estimated energy.

    Attributes:
        energy_j: Joules.
        low_j: Lower end of the band.
        high_j: Upper end of the band.
    """

    energy_j: float
    low_j: float
    high_j: float


def estimate_cpu_j(cpu_s: float) -> Estimate:
    """Estimate the CPU's energy from the CPU seconds of a runtime.

    Args:
        cpu_s: CPU seconds over the window.
    """
    joules = cpu_s * WATTS_PER_BUSY_CORE
    return Estimate(energy_j=joules, low_j=joules * (1 - BAND), high_j=joules * (1 + BAND))
