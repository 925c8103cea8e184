import subprocess
import sys
from pathlib import Path

import pytest

from greenbench.core.errors import BuildError
from greenbench.fleet.inventory import (
    INVENTORY_SCRIPT,
    Inventory,
    check_device,
    load_build,
    parse_inventory,
    save_build,
)
from greenbench.fleet.launcher import Build

BUILD = Build(
    runtime="a",
    device="cpu",
    launcher="docker",
    identity="sha256:1",
    requirements_sha256="2",
    python="3.11.2",
    packages={"numpy": "2.0"},
    log_path=Path("/x/log"),
    reused=False,
    elapsed_s=1.5,
    notes=("one", "two"),
)


def test_a_python_tells_its_packages():
    text = subprocess.run(
        [sys.executable, "-c", INVENTORY_SCRIPT], capture_output=True, text=True, check=True
    ).stdout
    held = parse_inventory(text, source="python")
    assert held.python.startswith("3.")
    assert "pytest" in held.packages


@pytest.mark.parametrize("text", ["", "{}", "[]", "Segmentation fault"])
def test_another_answer_is_one_line(text):
    with pytest.raises(BuildError, match="image x did not tell its packages"):
        parse_inventory(text, source="image x")


def test_facts_come_back_as_they_were_kept(tmp_path):
    save_build(BUILD, tmp_path / "facts.json")
    assert load_build(tmp_path / "facts.json", identity="sha256:1") == BUILD
    assert load_build(tmp_path / "facts.json", identity="sha256:other") is None


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"identity": 1}'])
def test_a_damaged_file_counts_as_none(tmp_path, text):
    if text is not None:
        (tmp_path / "facts.json").write_text(text)
    assert load_build(tmp_path / "facts.json", identity="sha256:1") is None


def test_a_cuda_build_that_got_a_framework_for_the_cpu_is_refused():
    held = Inventory(python="3.11.2", packages={"numpy": "2.0", "torch": "2.13.0+cpu"})
    check_device(held, "cpu", source="the image of pytorch")
    with pytest.raises(BuildError, match=r"the image of pytorch is for cuda and holds torch 2.13.0\+cpu"):
        check_device(held, "cuda", source="the image of pytorch")
    check_device(Inventory(python="3.11.2", packages={"torch": "2.13.0+cu130"}), "cuda", source="x")
