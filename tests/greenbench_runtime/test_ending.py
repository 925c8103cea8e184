"""A server ends when it is asked to, whichever thread the kernel asks."""

import subprocess
import sys
from pathlib import Path

import pytest

RUNTIMES = Path(__file__).parents[2] / "runtimes"
PROGRAM = """
import signal, threading, time
from greenbench_runtime.ending import Ending
ending = Ending()
def ask():
    time.sleep(0.3)
    {asked}
threading.Thread(target=ask).start()
ending.wait()
"""


@pytest.mark.parametrize(
    "asked",
    [
        "signal.pthread_kill(threading.get_ident(), signal.SIGTERM)",
        "signal.pthread_kill(threading.get_ident(), signal.SIGINT)",
        "signal.raise_signal(signal.SIGTERM)",
        "ending.set()",
    ],
)
def test_the_wait_ends(asked):
    program = [sys.executable, "-c", PROGRAM.format(asked=asked)]
    done = subprocess.run(program, env={"PYTHONPATH": str(RUNTIMES)}, timeout=20, check=False)
    assert done.returncode == 0


def test_a_frameworks_own_signal_is_not_the_end():
    other = "signal.signal(signal.SIGUSR1, lambda *_: None)"
    asked = "signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)"
    program = PROGRAM.format(asked=asked).replace("ending = Ending()", f"ending = Ending(); {other}")
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONPATH": str(RUNTIMES)}, timeout=2, check=False
        )
