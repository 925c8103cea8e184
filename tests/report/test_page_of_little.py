"""Pages of runs that hold little, in a browser: what there is draws, and the console stays empty."""

import pytest

from greenbench.report.document import read_document
from greenbench.report.figures import figures_of

pytestmark = pytest.mark.browser
KEYS = {
    "run_id",
    "trial_id",
    "cell_id",
    "load_id",
    "round",
    "window",
    "attempt",
    "position",
    "host_id",
    "device",
}
KEYS |= {"gpu_uuid", "runtime", "mode", "source", "model", "precision", "batch_size", "sequence_length"}
KEYS |= {"weights", "weights_from", "path", "io", "threads", "energy_scope", "doubts", "absent"}


def one_round(trial):
    return trial["round"] == 1


def one_runtime(trial):
    return trial["runtime"] == "pytorch"


def one_trial(trial):
    return trial["round"] == 1 and trial["cell_id"] == "pytorch.eager.resnet50.fp32.b64"


def some_rounds(trial):
    return trial["round"] == 1 or trial["runtime"] == "pytorch"


def all_invalid(trial):
    trial["verdict"] = "invalid"


def all_failed(trial):
    trial.update(dict.fromkeys(trial.keys() - KEYS), verdict="failed", failure="the runtime died")


def nothing(trial):
    return False


LITTLE = [one_round, one_runtime, one_trial, some_rounds, all_invalid, all_failed, nothing]


@pytest.mark.parametrize("edit", LITTLE, ids=lambda edit: edit.__name__)
def test_what_there_is_draws_and_nothing_is_complained_of(opened, copy, edit):
    copy.change(edit)
    assert_drawn(opened(copy.path), copy.path)


def test_no_energy_draws_and_nothing_is_complained_of(opened, no_energy):
    assert_drawn(opened(no_energy.path), no_energy.path)


def assert_drawn(page, folder):
    assert page.wrong == []
    figures = figures_of(read_document(folder))
    for figure in figures:
        place = f"#figure-1-{figure.name}"
        drawn = page.locator(f"{place} [data-chart] svg.marks")
        assert drawn.count() == len(figure.panels)
        assert page.locator(f"{place} .absent").count() == int(not figure.panels)
    assert any(figure.panels for figure in figures)
