"""What every test may rely on."""

import signal


def pytest_configure() -> None:
    """Take back signals that `nohup` or a background job has set to be ignored: tests send them."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
