import ctypes
import subprocess

import pytest

from greenbench_runtime.networks.cuda_libraries import load_from_wheels


@pytest.fixture
def wheel(tmp_path):
    """A folder of packages with one library, and the name under which the linker knows it."""
    folder = tmp_path / "nvidia" / "solver" / "lib"
    folder.mkdir(parents=True)
    source = tmp_path / "solver.c"
    source.write_text("int greenbench_answer(void) { return 42; }\n")
    name = f"libgbsolver{tmp_path.name[-1]}"
    command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{name}.so.11", "-o", str(folder / f"{name}.so.11")]
    subprocess.run([*command, str(source)], check=True)
    return tmp_path, name


def test_a_library_from_a_wheel_is_found_by_its_name_afterwards(wheel):
    place, name = wheel
    with pytest.raises(OSError, match=name):
        ctypes.CDLL(f"{name}.so.11")
    assert load_from_wheels(name, ["/nowhere", str(place)]) == place / "nvidia/solver/lib" / f"{name}.so.11"
    assert ctypes.CDLL(f"{name}.so.11").greenbench_answer() == 42


def test_without_such_a_wheel_nothing_is_loaded(tmp_path):
    assert load_from_wheels("libcusolver", [str(tmp_path)]) is None


def test_a_damaged_library_is_an_error(tmp_path):
    folder = tmp_path / "nvidia" / "solver" / "lib"
    folder.mkdir(parents=True)
    (folder / "libgbbroken.so.1").write_text("no library")
    with pytest.raises(OSError, match=r"libgbbroken\.so\.1"):
        load_from_wheels("libgbbroken", [str(tmp_path)])
