"""What stands beside the answers and decides nothing: normality, unpaired tests, the smallest effect seen."""

import pytest
from made_study import as_in_the_study, manifest

from greenbench.report.numbers import change, figure
from greenbench.report.publish import Outputs, publish
from greenbench.report.studied import TEST_HEADER, study_values, usual_table
from greenbench.report.study import study_of
from greenbench.report.study.rows import comparison_rows
from greenbench.report.study.sentences import could_see
from greenbench.report.tariff import Tariff

COLUMNS = {
    "p, signed rank": "p_signed_rank", "p, Shapiro-Wilk": "shapiro_p", "p, Mann-Whitney": "mann_whitney_p",
    "p, Welch": "welch_p",
}  # fmt: skip


@pytest.fixture(scope="module")
def study():
    return study_of(as_in_the_study(), manifest())


def test_every_comparison_has_its_tests_and_what_could_be_seen(study):
    table = [dict(zip(TEST_HEADER, row, strict=True)) for row in usual_table(study)]
    stored = list(comparison_rows(study))
    assert len(table) == len(stored) > 100
    for row, full in zip(table, stored, strict=True):
        assert (row["question"], row["cell"], row["against"]) == (
            full["question"],
            full["cell"],
            full["against"],
        )
        assert {name: row[name] for name in COLUMNS} == {
            name: figure(full[stored_as], 2) for name, stored_as in COLUMNS.items()
        }
        assert row["could see"] == could_see(full["smallest_ratio"]) != "nothing"
        assert row["could see: t"] == could_see(full["smallest_ratio_t"])
        assert row["ratio by t"] == change(full["t_ratio"], full["t_low"], full["t_high"])


def test_they_stand_on_the_page_group_by_group(study):
    groups = [group for question in study_values(study)["questions"] for group in question["groups"]]
    assert sum(len(group["tests"]) for group in groups) == len(usual_table(study))


@pytest.mark.parametrize("name", ["html", "markdown", "latex"])
def test_page_and_papers_hold_them(name, tmp_path, kept):
    publish([kept], Outputs(**{name: tmp_path / "out"}), Tariff())
    text = (tmp_path / "out").read_text()
    # ResNet-50 at batch 64, energy: two rounds, so that Student's t alone could see anything.
    figures = ["nothing", "18.4%", "+9.4% (-4.1 to +24.8)", "0.50", "-", "0.33", "0.084"]
    joints = {"html": '</td><td class="n">', "markdown": " | ", "latex": " & "}
    written = [one.replace("%", r"\%") for one in figures] if name == "latex" else figures
    assert joints[name].join(written) in text
    assert "p, Shapiro-Wilk" in text
    assert "decide nothing here" in text
