from greenbench.report.document import read_document
from greenbench.report.figures import figures_of


def drawn(folder):
    return next(item for item in figures_of(read_document(folder)) if item.name == "questions")


def test_every_comparison_is_a_row_of_energy_and_of_time(kept):
    figure = drawn(kept)
    assert [panel.title for panel in figure.panels] == [
        "RQ2: bert_base, batch 64, fp32, 128 tokens, cuda",
        "RQ2: bert_base, batch 64, tf32, 128 tokens, cuda",
        "RQ2: resnet50, batch 64, fp32, cuda",
    ]
    rows = [dict(zip(figure.columns, row, strict=True)) for row in figure.rows]
    assert [row["quantity"] for row in rows] == ["energy", "time"] * 3
    assert all((row["low"], row["outcome"], row["rounds"]) == (None, "open", 2) for row in rows)


def test_a_changed_trial_moves_its_mark(copy, kept):
    copy.change(lambda trial: trial.update(energy_j_per_sample=9.0 if trial["source"] else 1.0))
    before, after = (
        figure.rows[0][figure.columns.index("ratio")] for figure in (drawn(kept), drawn(copy.path))
    )
    assert round(before, 3) == 1.018
    assert round(after, 3) == 9.0


def test_one_runtime_draws_nothing_and_says_so(copy):
    copy.change(lambda trial: trial["runtime"] == "pytorch")
    assert drawn(copy.path).absent == "No research question has two cells that can be compared."
