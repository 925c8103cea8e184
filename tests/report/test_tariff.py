import csv
import io

import pytest

from greenbench.core.errors import ConfigurationError
from greenbench.report.outcome import outcome_json
from greenbench.report.publish import Outputs, publish
from greenbench.report.tariff import Tariff
from greenbench.report.telling import tell

# The cheapest cell: 0.3921 J x 1e6 / 3.6e6 = 0.1089 kWh, x 400 g = 43.57 g, x 0.3 = 0.03268.
TARIFF = Tariff(carbon_g_per_kwh=400.0, price_per_kwh=0.3)
CONVERTED = ("0.1089", "43.57", "0.03268")
LABEL = "A conversion, not a measurement: a million samples at 400 g CO2e/kWh and 0.3 per kWh, given by"
TEXTS = ("html", "markdown", "latex")


def told(folder, tmp_path, tariff):
    outputs = {name: tmp_path / f"t.{name}" for name in TEXTS}
    published = publish([folder], Outputs(csv=tmp_path / "t.csv", **outputs), tariff)
    assert not published.problems
    return {name: path.read_text() for name, path in outputs.items()}


@pytest.mark.parametrize("name", TEXTS)
def test_a_reader_s_tariff_is_in_every_text_and_labelled_a_conversion(kept, tmp_path, name):
    text = told(kept, tmp_path, TARIFF)[name]
    assert LABEL in text
    assert "from the gross energy of gpu" in text
    assert all(figure in text for figure in CONVERTED)


def test_nothing_is_converted_where_the_reader_says_nothing(kept, tmp_path, capsys):
    for text in told(kept, tmp_path, Tariff()).values():
        assert "CO2e" not in text
        assert "onversion, not a measurement" not in text
    assert not (tmp_path / "t-footprint.csv").exists()
    tell([kept], Outputs(), Tariff(), watch=False)
    assert "CO2e" not in capsys.readouterr().out
    assert "co2" not in str(outcome_json(kept)).lower()


def test_the_terminal_converts_every_cell_that_has_joules(kept, capsys):
    tell([kept], Outputs(), TARIFF, watch=False)
    heading, *lines = capsys.readouterr().out.partition(LABEL)[2].splitlines()
    assert heading.endswith("gpu:")
    cheapest = next(line for line in lines if "0.1089" in line)
    assert cheapest.endswith(": kWh 0.1089, g CO2e 43.57, price 0.03268")


def test_csv_holds_what_was_given_and_full_digits(kept, tmp_path):
    told(kept, tmp_path, Tariff(carbon_g_per_kwh=400.0))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "t-footprint.csv").read_text())))
    assert rows
    for row in rows:
        energy_kwh = float(row["energy_j_per_sample"]) * 1e6 / 3.6e6
        assert float(row["energy_kwh"]) == pytest.approx(energy_kwh, rel=1e-12)
        assert float(row["carbon_g"]) == pytest.approx(400 * energy_kwh, rel=1e-12)
        assert (row["price_per_kwh"], row["price"]) == ("", "")
        assert (row["carbon_g_per_kwh"], row["samples"], row["energy_scope"]) == ("400.0", "1000000", "gpu")


def test_only_what_was_asked_for_has_a_column(kept, tmp_path):
    text = told(kept, tmp_path, Tariff(price_per_kwh=0.3))["markdown"]
    assert "| cell | setting | kWh | price |" in text
    assert "CO2e" not in text


def test_without_joules_the_conversion_says_so(no_energy, tmp_path, capsys):
    for text in told(no_energy.path, tmp_path, TARIFF).values():
        assert "o cell has joules to convert" in text
    tell([no_energy.path], Outputs(), TARIFF, watch=False)
    assert "no cell has joules to convert" in capsys.readouterr().out


@pytest.mark.parametrize("figure", [float("nan"), float("inf"), -1.0])
def test_a_tariff_that_is_no_figure_is_refused(figure):
    with pytest.raises(ConfigurationError, match="--price"):
        Tariff(price_per_kwh=figure)
