"""An engine whose framework isn't installed."""

import framework_that_is_not_installed  # noqa: F401
