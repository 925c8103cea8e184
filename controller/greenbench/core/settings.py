"""Changes to a suite from the command line: ``--set`` replaces values, ``--only`` narrows the matrix."""

import re
import tomllib
from collections.abc import Iterable
from typing import Any

from greenbench.core.errors import ConfigurationError
from greenbench.core.refusal import did_you_mean, unknown_key
from greenbench.core.suite import TABLES, Suite, parse_suite

_SETTABLE = tuple(
    [key for key in TABLES[""] if key not in TABLES]
    + [f"{table}.{key}" for table in ("matrix", "models", "protocol", "host") for key in TABLES[table]]
)


def with_settings(suite: Suite, settings: Iterable[str]) -> Suite:
    """Return a suite with values replaced.

    Args:
        suite: To start from.
        settings: ``KEY=VALUE`` each. Keys are dotted, or short where one table alone has them. Values
            are TOML; a value that is no TOML is a string; keys of the matrix take comma lists.

    Raises:
        ConfigurationError: An unknown key, or a value that it does not take.
    """
    values = suite.as_mapping()
    for setting in settings:
        key, text = _split(setting, option="--set")
        path = _resolved(key)
        _place(values, path, _value_of(path, text))
    return parse_suite(values, "--set")


def restricted(suite: Suite, only: Iterable[str]) -> Suite:
    """Return a suite whose matrix holds only the values named.

    Args:
        suite: To start from.
        only: ``KEY=VALUE,VALUE`` each, several joined with commas or semicolons; a part without ``=``
            is one more value of the key before it.

    Raises:
        ConfigurationError: An unknown key, or a value that the suite's matrix does not hold.
    """
    values = suite.as_mapping()
    for key, asked in _wanted(only).items():
        there = values["matrix"][key]
        for value in asked:
            _must_be_in(key, value, there)
        values["matrix"][key] = [value for value in there if str(value) in asked]
    return parse_suite(values, "--only")


def _split(setting: str, *, option: str) -> tuple[str, str]:
    key, equals, text = setting.partition("=")
    if not (key.strip() and equals and text.strip()):
        raise ConfigurationError(f"{option} {setting!r} is not KEY=VALUE, such as {option} batch_size=1,64")
    return key.strip(), text.strip()


def _resolved(key: str) -> tuple[str, ...]:
    parts = tuple(key.split("."))
    if key in _SETTABLE or (parts[0] == "validity" and len(parts) == 3):  # noqa: PLR2004 - table.rule.limit
        return parts
    if parts[:2] == ("host", "env") and len(parts) == 3:  # noqa: PLR2004 - host.env.runtime
        return parts
    found = [name for name in _SETTABLE if name.rpartition(".")[2] == key and name != "host.env"]
    if len(found) == 1:
        return tuple(found[0].split("."))
    short = [name.rpartition(".")[2] for name in _SETTABLE if name != "host.env"]
    if len(parts) > 1:
        raise ConfigurationError(f"--set: {unknown_key(key, TABLES.get(parts[0]) or short)}")
    raise ConfigurationError(f"--set: {unknown_key(key, short)}")


def _value_of(path: tuple[str, ...], text: str) -> Any:
    if path[0] != "matrix":
        return _toml_or_text(text)
    if text.startswith("["):
        return _toml_or_text(text)
    return [_toml_or_text(part.strip()) for part in text.split(",") if part.strip()]


def _toml_or_text(text: str) -> Any:
    try:
        values = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return values["value"] if len(values) == 1 else text


def _place(values: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    table = values
    for step in path[:-1]:
        table = table.setdefault(step, {})
    table[path[-1]] = value


def _wanted(only: Iterable[str]) -> dict[str, list[str]]:
    wanted: dict[str, list[str]] = {}
    for option in only:
        key = ""
        for part in filter(None, (piece.strip() for piece in re.split("[,;]", option))):
            if "=" in part:
                key, value = _split(part, option="--only")
                key = _matrix_key(key)
            elif key:
                value = part
            else:
                raise ConfigurationError(
                    f"--only {option!r} is not KEY=VALUE,..., such as --only runtime=pytorch"
                )
            wanted.setdefault(key, []).append(value)
    return wanted


def _matrix_key(key: str) -> str:
    short = key.removeprefix("matrix.")
    if short not in TABLES["matrix"]:
        raise ConfigurationError(f"--only: {unknown_key(key, TABLES['matrix'])}")
    return short


def _must_be_in(key: str, value: str, there: list[Any]) -> None:
    allowed = [str(item) for item in there]
    if value not in allowed:
        raise ConfigurationError(
            f"--only: {key} = {value!r} is not in this suite{did_you_mean(value, allowed)}; "
            f"its matrix has {', '.join(allowed)} (--set {key}={value} puts it there)"
        )
