"""What joules mean to a reader: kilowatt-hours, grams of CO2, money, by the reader's own figures."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from greenbench.core.units import kilowatt_hours_from_joules
from greenbench.report.answer import label_of
from greenbench.report.numbers import figure
from greenbench.results.cells import CellSummary

SAMPLES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What a kilowatt-hour means; None where the reader did not say, and nothing is assumed.

    Attributes:
        carbon_g_per_kwh: Grams of CO2 equivalent.
        price_per_kwh: In the reader's currency.
    """

    carbon_g_per_kwh: float | None = None
    price_per_kwh: float | None = None

    @property
    def given(self) -> bool:
        """Whether the reader said anything."""
        return self.carbon_g_per_kwh is not None or self.price_per_kwh is not None


def footprint_table(cells: Iterable[CellSummary], tariff: Tariff) -> dict[str, Any] | None:
    """Return energy, carbon and price of a million samples by cell; None where the reader asked for none."""
    costs = [
        (cell, cell.energy_j_per_sample.mean) for cell in cells if cell.usable and cell.energy_j_per_sample
    ]
    if not tariff.given or not costs:
        return None
    basis = [f"{tariff.carbon_g_per_kwh:g} g CO2e/kWh"] if tariff.carbon_g_per_kwh is not None else []
    basis += [f"{tariff.price_per_kwh:g} per kWh"] if tariff.price_per_kwh is not None else []
    return {
        "caption": f"A million samples, at {' and '.join(basis)} (given by the reader)",
        "columns": ("cell", "model", "kWh", "g CO2e", "price"),
        "rows": [_row(cell, kilowatt_hours_from_joules(cost * SAMPLES), tariff) for cell, cost in costs],
    }


def _row(cell: CellSummary, energy_kwh: float, tariff: Tariff) -> list[str]:
    return [
        label_of(cell),
        f"{cell.model} {cell.precision} b{cell.batch_size}",
        figure(energy_kwh),
        figure(None if tariff.carbon_g_per_kwh is None else energy_kwh * tariff.carbon_g_per_kwh),
        figure(None if tariff.price_per_kwh is None else energy_kwh * tariff.price_per_kwh),
    ]
