from pathlib import Path

import pytest

from greenbench_runtime.folders import MissingFileError, ModelsFolder
from greenbench_runtime.machine import cpu_flags, machine_code_runs, physical_cores


def cpu(number: int, core: str = "") -> str:
    return f"processor\t: {number}\nmodel name\t: x\n{core}"


def ids(package: int, core: int) -> str:
    return f"physical id\t: {package}\ncore id\t\t: {core}\n"


def test_threads_of_one_core_count_once():
    text = "\n".join(cpu(n, ids(package=n // 4, core=n % 2)) for n in range(8))
    assert physical_cores(text, frozenset(range(8))) == 4


def test_only_cores_that_may_be_used_count():
    text = "\n".join(cpu(n, ids(package=0, core=n % 4)) for n in range(8))
    assert physical_cores(text, frozenset({0, 4, 1})) == 2


def test_where_no_core_is_named_each_cpu_is_one():
    assert physical_cores("\n".join(cpu(n) + "\n" for n in range(4)), frozenset(range(4))) == 4


def test_a_link_inside_the_models_folder_is_followed(tmp_path: Path):
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to("real")
    assert ModelsFolder(tmp_path).file("link", key="weights_file") == (tmp_path / "real").resolve()


def test_a_link_to_nothing_is_missing(tmp_path: Path):
    (tmp_path / "link").symlink_to("nothing")
    with pytest.raises(MissingFileError):
        ModelsFolder(tmp_path).file("link", key="weights_file")


def test_cpu_flags_are_those_that_the_kernel_names():
    text = "processor\t: 0\nflags\t\t: fpu avx2 amx_bf16\n\nprocessor\t: 1\nflags\t\t: fpu avx2\n"
    assert cpu_flags(text) == {"fpu", "avx2", "amx_bf16"}
    assert cpu_flags("processor\t: 0\nFeatures\t: asimd\n") == frozenset()


@pytest.mark.parametrize(
    ("capability", "runs"), [("8.6", True), ("8.9", True), ("7.5", True), ("9.0", False), ("12.0", False)]
)
def test_machine_code_runs_on_newer_gpus_of_its_major_version_alone(capability, runs):
    assert machine_code_runs(("sm_50", "sm_60", "sm_70", "sm_80", "sm_86"), capability) is runs


def test_machine_code_for_a_newer_minor_version_does_not_run():
    assert not machine_code_runs(("sm_86",), "8.0")
