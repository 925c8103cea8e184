"""Rest between loads: every compared cell starts in the same GPU temperature band."""

from greenbench.bench.instruments import Instruments
from greenbench.core.doubt import Doubt, Limits, Rule
from greenbench.core.progress import Observer
from greenbench.core.units import seconds_from_ns

BAND_C = 3.0
"""Width of the start band above the lowest start temperature of the pilot round, degrees Celsius."""


class Rest:
    """The temperature gate of one run.

    The pilot round's start temperatures set the band; every later load waits until the GPU is inside it.

    Attributes:
        lowest_c: Lowest start temperature so far, degrees Celsius; None before the first.
    """

    def __init__(self, *, cap_s: float, lowest_c: float | None = None) -> None:
        """Begin with what is known.

        Args:
            cap_s: Longest rest, seconds.
            lowest_c: Of the run's pilot round, where the run is resumed.
        """
        self._cap_s = cap_s
        self.lowest_c = lowest_c

    def wait(self, instruments: Instruments, observer: Observer, *, pilot: bool) -> tuple[Doubt, ...]:
        """Wait for the band.

        Args:
            instruments: Holds the temperature sensor, if this host has one.
            observer: Hears that the host rests.
            pilot: Whether this load belongs to the round that sets the band.

        Returns:
            The doubt ``temperature`` with the degrees above the lowest start, where the cap came first.
        """
        temperature = next((sensor for sensor in instruments.meters.sensors if sensor.unit == "degC"), None)
        if temperature is None:
            return ()
        now_c = temperature.read()
        if pilot or self.lowest_c is None:
            self.lowest_c = now_c if self.lowest_c is None else min(now_c, self.lowest_c)
            return ()
        began_ns = instruments.clock()
        while now_c > self.lowest_c + BAND_C:
            if seconds_from_ns(instruments.clock() - began_ns) >= self._cap_s:
                limits = instruments.limits.get(Rule.TEMPERATURE, Limits(doubtful=BAND_C, invalid=None))
                doubt = limits.judge(Rule.TEMPERATURE, now_c - self.lowest_c)
                return (doubt,) if doubt else ()
            observer.step(f"resting: GPU at {now_c:.0f} °C, band up to {self.lowest_c + BAND_C:.0f} °C")
            instruments.sleep(0.5)
            now_c = temperature.read()
        return ()
