import struct
import zlib
from xml.etree import ElementTree as ET

import pyarrow.parquet as pq

from greenbench.report.document import read_document
from greenbench.report.figures import FORMATS, draw_files, figures_of

CELL = "pytorch.eager.resnet50.fp32.b64"


def by_name(folder):
    return {figure.name: figure for figure in figures_of(read_document(folder))}


def test_a_changed_trial_moves_its_mark(copy):
    before = by_name(copy.path)["energy"]
    copy.change(lambda trial: trial.update(energy_j_per_sample=9.0) if trial["cell_id"] == CELL else None)
    after = by_name(copy.path)["energy"]
    changed = [new for old, new in zip(before.rows, after.rows, strict=True) if old != new]
    assert [(row[1], row[2]) for row in changed] == [("pytorch eager", 9.0)]


def test_invalid_cells_are_not_on_the_front(kept):
    front = by_name(kept)["front"]
    assert front.rows
    assert not any("batch 1" in row[1] and "bert" in row[0] for row in front.rows)


def test_the_front_is_what_no_cell_beats_on_both(kept):
    rows = by_name(kept)["front"].rows
    for model, _, x, y, front in rows:
        beaten = any(other[0] == model and other[2] <= x and other[3] < y for other in rows)
        assert (front == "yes") is not beaten


def test_the_parts_of_the_energy_add_up(kept):
    document = read_document(kept)
    rows = by_name(kept)["breakdown"].rows
    for group in document.answer.groups:
        for cell in group.cells:
            parts = [row[4] for row in rows if row[0] == group.title and row[1].startswith(cell.runtime)]
            if parts:
                assert abs(sum(parts) - cell.energy_j_per_sample.mean) < 1e-9


def test_the_envelope_loses_no_peak(kept):
    table = pq.read_table(kept / "readings.parquet", filters=[("stream", "=", "instant")])
    values = table["value"].drop_null().to_pylist()
    (trace,) = read_document(kept).traces
    assert trace.readings == len(values)
    assert max(step.high_w for step in trace.steps) == max(values)
    assert min(step.low_w for step in trace.steps) == min(values)


def test_without_energy_time_is_still_drawn(no_energy):
    figures = by_name(no_energy.path)
    assert figures["energy"].absent
    assert not figures["energy"].panels
    assert figures["latency"].panels
    assert figures["drift"].panels


def test_one_round_has_no_drift(copy):
    copy.change(lambda trial: trial["round"] == 1)
    assert "two rounds" in by_name(copy.path)["drift"].absent


def test_every_figure_is_a_whole_svg_png_and_pdf(kept, tmp_path):
    figures = figures_of(read_document(kept))
    files = draw_files(figures, tmp_path)
    assert {file.name for file in files} == {
        f"{figure.name}.{suffix}" for figure in figures for suffix in FORMATS
    }
    assert len(figures) == 8
    for file in files:
        CHECKS[file.suffix](file.read_bytes(), file.name)
    assert "pytorch eager" in (tmp_path / "energy.svg").read_text()


def whole_svg(content, name):
    root = ET.fromstring(content)  # noqa: S314 - made here
    assert root.tag.endswith("}svg"), name
    assert len([one for one in root.iter() if one.tag.endswith("}path")]) > 2, name


def whole_png(content, name):
    assert content.startswith(b"\x89PNG\r\n\x1a\n"), name
    assert content.endswith(b"IEND\xaeB`\x82"), name
    width, height = struct.unpack(">II", content[16:24])
    assert min(width, height) > 200, name
    chunks, place = b"", 8
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        chunks += (
            content[place + 8 : place + 8 + length] if content[place + 4 : place + 8] == b"IDAT" else b""
        )
        place += length + 12
    assert len(set(zlib.decompress(chunks))) > 20, f"{name} is of one colour"


def whole_pdf(content, name):
    assert content.startswith(b"%PDF-"), name
    assert content.rstrip().endswith(b"%%EOF"), name
    assert len(content) > 5000, name


CHECKS = {".svg": whole_svg, ".png": whole_png, ".pdf": whole_pdf}
