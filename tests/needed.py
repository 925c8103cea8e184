"""What a test needs of its machine and did not find there: a reason to skip, and with CI=true a failure."""

import os
from typing import NoReturn

import pytest


def not_here(what: str) -> NoReturn:
    """Skip the test that needs `what`; with CI=true, fail it: CI has to bring it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI needs {what}")
    pytest.skip(f"needs {what}")
