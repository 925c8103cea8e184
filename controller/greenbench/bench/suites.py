"""The suites that come with greenbench, and suites in files of the user's."""

from importlib.resources import files
from pathlib import Path

from greenbench.core.errors import ConfigurationError
from greenbench.core.refusal import did_you_mean
from greenbench.core.suite import Suite, parse_suite


def builtin_suites() -> tuple[str, ...]:
    """Return the names of the suites that come with greenbench, sorted."""
    folder = files("greenbench") / "suites"
    return tuple(
        sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))
    )


def load_suite(name_or_path: str | Path) -> Suite:
    """Read a suite by its name or from a TOML file.

    Args:
        name_or_path: A built-in name, or a path that ends in ``.toml`` or holds a slash.

    Raises:
        ConfigurationError: Neither a built-in name nor a file that can be read, or a key or value in it.
    """
    name = str(name_or_path)
    if name in builtin_suites():
        text = (files("greenbench") / "suites" / f"{name}.toml").read_text(encoding="utf-8")
        return parse_suite(text, f"suite {name}")
    if not (name.endswith(".toml") or "/" in name):
        near = did_you_mean(name, builtin_suites())
        raise ConfigurationError(f"unknown suite {name!r}{near}; there are {_names()}, or name a .toml file")
    return parse_suite(_text_of(Path(name)), name)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as err:
        raise ConfigurationError(f"suite file {path} cannot be read: {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise ConfigurationError(f"suite file {path} is not UTF-8 text (byte {err.start})") from err


def _names() -> str:
    return ", ".join(builtin_suites())
