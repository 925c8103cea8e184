import signal
import subprocess
import sys
import textwrap

import pytest

PROGRAM = textwrap.dedent(
    """
    import time
    from greenbench.interrupts import one_interrupt

    with one_interrupt():
        try:
            print("working", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            print("cleaning", flush=True)
            time.sleep(1)
            print("cleaned", flush=True)
    """
)


def started(program: str = PROGRAM) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    return process


def test_signals_after_the_first_do_not_cut_the_cleaning_short():
    process = started()
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "cleaning\n"
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert out == "cleaned\n"
    assert "ending already" in err
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_scheduler_or_a_closing_terminal_ends_the_work_as_a_user_does(number):
    process = started()
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert out == "cleaning\ncleaned\n"


def test_two_signals_at_once_are_one_interrupt():
    process = started()
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert out == "cleaning\ncleaned\n"


def test_what_the_caller_ignores_stays_ignored():
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    process = started(ignoring + PROGRAM)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert "ending already" not in err
