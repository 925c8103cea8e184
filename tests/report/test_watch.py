"""`report --watch --html` beside a run that goes on, as a process of its own."""

import fcntl
import json
import re
import shutil
import subprocess
import sys
import time

import pytest

WHOLE_S = 60.0


class LiveRun:
    """A run as its writer leaves it on disk while it measures: a log held and growing, no tables yet."""

    def __init__(self, copy, finished):
        self.path = copy
        self._finished = finished
        self._log = copy / "events.jsonl"
        self._lines = self._log.read_bytes().splitlines(keepends=True)
        self._file = self._log.open("wb", buffering=0)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        for table in (*copy.glob("*.parquet"), copy / "parity.json"):
            table.unlink()

    def until(self, trials):
        """Write the log on until so many trials have ended."""
        written = self._log.read_bytes().count(b'"event":"trial"')
        while written < trials:
            line = self._lines.pop(0)
            self._file.write(line)
            written += json.loads(line)["event"] == "trial"

    def finish(self):
        """Write the tables and the rest of the log, and let go of it."""
        for table in (*self._finished.glob("*.parquet"), self._finished / "parity.json"):
            shutil.copy(table, self.path)
        self._file.write(b"".join(self._lines))
        self.close()

    def close(self):
        self._file.close()


@pytest.fixture
def live(copy, kept):
    run = LiveRun(copy.path, kept)
    yield run
    run.close()


@pytest.fixture
def watching(live, tmp_path):
    live.until(trials=5)
    page = tmp_path / "live.html"
    command = [
        sys.executable,
        "-m",
        "greenbench.cli",
        "report",
        str(live.path),
        "--watch",
        "--html",
        str(page),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process, page
        process.kill()


def told(page, process, trials):
    """Wait until the page tells so many trials; every page met on the way is whole."""
    end = time.monotonic() + WHOLE_S
    while time.monotonic() < end:
        text = page.read_text() if page.exists() else ""
        assert text == "" or text.rstrip().endswith("</html>")
        found = re.search(r"\d+ of (\d+) trials can be compared", text)
        if found and int(found[1]) == trials:
            return text
        time.sleep(0.1)
    raise AssertionError(f"no page of {trials} trials; status {process.poll()}, {found and found[0]}")


def test_the_page_follows_the_run_and_the_command_ends_with_it(live, watching):
    process, page = watching
    assert "not finished" in told(page, process, 5)
    live.until(trials=9)
    assert "not finished" in told(page, process, 9)
    assert process.poll() is None
    live.finish()
    out, err = process.communicate(timeout=WHOLE_S)
    assert (process.returncode, err) == (0, "")
    assert set(out.splitlines()) == {str(page)}
    assert len(out.splitlines()) >= 3
    assert "not finished" not in told(page, process, 24)


def test_a_writer_that_dies_without_another_word_ends_the_watch(live, watching):
    process, page = watching
    told(page, process, 5)
    live.close()
    process.communicate(timeout=WHOLE_S)
    assert process.returncode == 0
    assert "not finished" in told(page, process, 5)
