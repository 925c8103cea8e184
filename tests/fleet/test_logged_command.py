import sys

import pytest

from greenbench.fleet.logged_command import run_logged


def test_both_outputs_go_to_the_log_and_to_the_listener(tmp_path):
    heard: list[str] = []
    program = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(4)"
    outcome = run_logged(
        [sys.executable, "-c", program], log_path=tmp_path / "log", environment={}, heard=heard.append
    )
    assert outcome.status == 4
    assert outcome.lines == tuple(heard) == ("out", "err")
    assert (tmp_path / "log").read_text() == "out\nerr\n"


def test_credentials_reach_neither_log_nor_listener(tmp_path):
    heard: list[str] = []
    program = "print('Looking in https://me:hunter2@host/simple')"
    run_logged([sys.executable, "-c", program], log_path=tmp_path / "log", environment={}, heard=heard.append)
    assert heard == ["Looking in https://****@host/simple"]
    assert "hunter2" not in (tmp_path / "log").read_text()


def test_an_interrupt_ends_the_command(tmp_path):
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    program = "import sys, time; print('begin', flush=True); time.sleep(30); open(sys.argv[1], 'w')"
    command = [sys.executable, "-c", program, str(tmp_path / "ran-to-its-end")]
    with pytest.raises(KeyboardInterrupt):
        run_logged(command, log_path=tmp_path / "log", environment={}, heard=interrupt)
    assert not (tmp_path / "ran-to-its-end").exists()
