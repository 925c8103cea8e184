"""Why a value of the user's was refused, in one line: the key, the value, what is allowed."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

_KINDS: Mapping[str, str] = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list in square brackets",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must be 1 to 40 letters, digits, - or _",
}


def did_you_mean(value: object, allowed: Sequence[str]) -> str:
    """Return `` (did you mean 'x'?)`` where something allowed is near, else an empty string."""
    # Stricter than the library's own 0.6, which takes "gpu" for a misspelt "cpu".
    near = get_close_matches(str(value), allowed, n=1, cutoff=0.7)
    return f" (did you mean '{near[0]}'?)" if near else ""


def is_not_one_of(value: object, allowed: Sequence[str]) -> str:
    """Return the half sentence that says that a value is unknown, and what is allowed."""
    return f"is not known{did_you_mean(value, allowed)}; allowed: {', '.join(allowed)}"


def unknown_key(key: str, allowed: Sequence[str]) -> str:
    """Return the sentence that says that a key is unknown, and which there are."""
    last = key.rpartition(".")[2]
    return f"unknown key {key}{did_you_mean(last, allowed)}; allowed: {', '.join(allowed)}"


def refused_by(error: ValidationError, tables: Mapping[str, tuple[str, ...]]) -> str:
    """Return one line for the first thing that a validation refused.

    Args:
        error: What pydantic found.
        tables: Keys allowed by table; the empty name is the top level.
    """
    details = error.errors(include_url=False)
    first = details[0]
    location = first["loc"]
    if first["type"] == "extra_forbidden":
        table = str(location[0]) if len(location) > 1 else ""
        return _shortened(unknown_key(_path(location), tables[table]))
    if first["type"] == "missing":
        return f"{_path(location)} is missing"
    if location[-1] == "[key]":
        return f"{_path(location[:-1])} {_reason(first)}"
    return _shortened(f"{_path(_without_unions(location))} = {_written(first['input'])} {_reason(first)}")


def _reason(detail: Any) -> str:
    template = _KINDS.get(detail["type"])
    text = template.format(**detail.get("ctx", {})) if template else detail["msg"]
    return " ".join(text.split())


def _without_unions(location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    # In a union pydantic adds the name of the alternative it tried: ("host", "gpu", "constrained-int").
    tried = {"int", "str", "constrained-int", "constrained-str"}
    return location[:-1] if len(location) > 1 and location[-1] in tried else location


def _path(location: tuple[str | int, ...]) -> str:
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(list(value) if isinstance(value, tuple) else value)


def _shortened(line: str) -> str:
    return line if len(line) <= 400 else f"{line[:397]}..."  # noqa: PLR2004 - still one readable line
