import gc
import subprocess
import sys
from pathlib import Path

import pytest

from greenbench.energy.files import KeptFile, KeptFiles


def test_each_reading_is_made_anew_from_one_open_file(tmp_path):
    path = tmp_path / "energy_uj"
    path.write_text("12\n")
    file = KeptFile(path)
    assert file.read() == "12\n"
    path.write_text("1234\n")
    assert file.read() == "1234\n"


def test_a_kernel_file_tells_of_its_own_process_until_that_ends():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        path = f"/proc/{process.pid}/stat"
        file = KeptFile(path)
        assert file.read().startswith(f"{process.pid} (")
        process.communicate(b"\n")
        with pytest.raises(OSError, match=path):
            file.read()


def test_a_missing_file_is_named_and_opened_once_it_is_there(tmp_path):
    file = KeptFile(tmp_path / "late")
    with pytest.raises(FileNotFoundError, match="late"):
        file.read()
    (tmp_path / "late").write_text("7")
    assert file.read() == "7"


def test_after_a_failed_reading_the_file_is_opened_anew(tmp_path):
    files, path = KeptFiles(), tmp_path / "cpuacct.usage"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        path.symlink_to(f"/proc/{process.pid}/stat")
        assert files(path).startswith(f"{process.pid} (")
        process.communicate(b"\n")
    with pytest.raises(OSError, match="cpuacct"):
        files(path)
    path.unlink()
    path.write_text("12")
    assert files(path) == "12"


def test_the_last_use_closes_it(tmp_path):
    (tmp_path / "one").write_text("1")
    (tmp_path / "two").write_text("2")
    before = set(Path("/proc/self/fd").iterdir())
    files = KeptFiles()
    assert [files(tmp_path / name) for name in ("one", "two", "one")] == ["1", "2", "1"]
    assert len(set(Path("/proc/self/fd").iterdir()) - before) == 2
    del files
    gc.collect()
    assert set(Path("/proc/self/fd").iterdir()) <= before
