"""What joules mean to a reader: kilowatt-hours, grams of CO2, money, by the reader's own figures."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from greenbench.core.errors import ConfigurationError
from greenbench.core.units import kilowatt_hours_from_joules
from greenbench.report.answer import Group, label_of
from greenbench.report.numbers import figure
from greenbench.results.cells import CellSummary

SAMPLES = 1_000_000
FOOTPRINT_COLUMNS = (
    "cell_id", "energy_scope", "energy_j_per_sample", "carbon_g_per_kwh", "price_per_kwh", "samples",
    "energy_kwh", "carbon_g", "price",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What a kilowatt-hour means; None where the reader did not say, and nothing is assumed.

    Attributes:
        carbon_g_per_kwh: Grams of CO2 equivalent.
        price_per_kwh: In the reader's currency.

    Raises:
        ConfigurationError: A figure is negative or not finite.
    """

    carbon_g_per_kwh: float | None = None
    price_per_kwh: float | None = None

    def __post_init__(self) -> None:
        for option, value in (
            ("--carbon-intensity", self.carbon_g_per_kwh),
            ("--price", self.price_per_kwh),
        ):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ConfigurationError(f"{option} {value:g} is not a figure from 0 up")

    @property
    def given(self) -> bool:
        """Whether the reader said anything."""
        return self.carbon_g_per_kwh is not None or self.price_per_kwh is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Energy, carbon and price of a million samples by cell: a conversion, by what the reader said.

    Attributes:
        caption: That it is a conversion, of what, and by which figures.
        columns: Header of its table; only what was asked for.
        rows: A row per cell with joules that is not invalid.
        absent: Why there is no row; empty where there is.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    absent: str


def footprint_of(groups: Sequence[Group], tariff: Tariff) -> Footprint | None:
    """Convert the energy of a million samples; None where the reader asked for no conversion."""
    if not tariff.given:
        return None
    costs = list(_costs(groups))
    scopes = " and ".join(sorted({cell.energy_scope for _, cell, _ in costs}))
    source = f", from the gross energy of {scopes}" if costs else ""
    basis = [f"{tariff.carbon_g_per_kwh:g} g CO2e/kWh"] if tariff.carbon_g_per_kwh is not None else []
    basis += [f"{tariff.price_per_kwh:g} per kWh"] if tariff.price_per_kwh is not None else []
    columns = ["cell", "setting", "kWh"]
    columns += ["g CO2e"] if tariff.carbon_g_per_kwh is not None else []
    columns += ["price"] if tariff.price_per_kwh is not None else []
    return Footprint(
        caption=(
            f"A conversion, not a measurement: a million samples at {' and '.join(basis)}, "
            f"given by the reader{source}"
        ),
        columns=tuple(columns),
        rows=tuple(
            (label_of(cell), group.title, *map(figure, _converted(cost, tariff)))
            for group, cell, cost in costs
        ),
        absent="" if costs else "no cell has joules to convert",
    )


def footprint_rows(groups: Sequence[Group], tariff: Tariff) -> Iterator[dict[str, str | float | int | None]]:
    """Yield a row per cell in `FOOTPRINT_COLUMNS`, with full digits and the figures that the reader gave."""
    for _, cell, cost in _costs(groups):
        energy_kwh = kilowatt_hours_from_joules(cost * SAMPLES)
        carbon, price = tariff.carbon_g_per_kwh, tariff.price_per_kwh
        yield {
            "cell_id": cell.cell_id,
            "energy_scope": cell.energy_scope,
            "energy_j_per_sample": cost,
            "carbon_g_per_kwh": carbon,
            "price_per_kwh": price,
            "samples": SAMPLES,
            "energy_kwh": energy_kwh,
            "carbon_g": None if carbon is None else energy_kwh * carbon,
            "price": None if price is None else energy_kwh * price,
        }


def _costs(groups: Sequence[Group]) -> Iterator[tuple[Group, CellSummary, float]]:
    for group in groups:
        for cell in group.cells:
            if cell.usable and cell.energy_j_per_sample:
                yield group, cell, cell.energy_j_per_sample.mean


def _converted(cost: float, tariff: Tariff) -> list[float]:
    """Return kilowatt-hours of a million samples, then what the reader asked for."""
    energy_kwh = kilowatt_hours_from_joules(cost * SAMPLES)
    asked = (tariff.carbon_g_per_kwh, tariff.price_per_kwh)
    return [energy_kwh, *(energy_kwh * factor for factor in asked if factor is not None)]
