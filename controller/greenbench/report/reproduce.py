"""The commands that run a suite again, with the suite as it was resolved."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from greenbench.results.manifest import Manifest


def commands_of(manifest: Manifest) -> str:
    """Return shell lines: the suite as a file, then what prepares and runs it."""
    name = "".join(
        letter for letter in str(manifest.suite.get("name", "")) if letter.isalnum() or letter in "-_"
    )
    file = f"{name or 'suite'}.toml"
    launchers = sorted({entry.launcher for entry in manifest.runtimes.values()})
    options = f"--device {manifest.device}" + (f" --launcher {launchers[0]}" if len(launchers) == 1 else "")
    adopted = "".join(
        f" --env {shlex.quote(f'{name}={entry.adopted}')}"
        for name, entry in manifest.runtimes.items()
        if entry.adopted
    )
    shard = f" --shard {manifest.shard.label}" if manifest.shard else ""
    return "\n".join([
        f"cat > {file} <<'SUITE'",
        *toml_lines(manifest.suite),
        "SUITE",
        f"greenbench up --suite {file} {options}{adopted}",
        f"greenbench run {file} --seed {manifest.seed}{shard} {options}{adopted}",
    ])  # fmt: skip


def toml_lines(suite: Mapping[str, Any], table: str = "") -> Iterator[str]:
    """Yield a suite as TOML; keys without a value are left out, as TOML has no null."""
    nested = {key: value for key, value in suite.items() if isinstance(value, Mapping)}
    tables = {key: value for key, value in suite.items() if _is_tables(value)}
    for key, value in suite.items():
        if value is not None and key not in nested and key not in tables:
            # A string, number, truth value or list of them is written in TOML as in JSON.
            yield f"{key} = {json.dumps(value)}"
    for key, values in tables.items():
        for item in values:
            yield f"[[{table}{key}]]"
            yield from toml_lines(item)
    for key, value in nested.items():
        if value:
            yield f"[{table}{key}]"
            yield from toml_lines(value, f"{table}{key}.")


def _is_tables(value: object) -> bool:
    return (
        isinstance(value, (list, tuple)) and bool(value) and all(isinstance(item, Mapping) for item in value)
    )
