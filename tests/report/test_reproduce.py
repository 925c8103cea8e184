import shlex
import tomllib

from greenbench.report.document import read_document
from greenbench.report.reproduce import commands_of, toml_lines


def test_the_suite_reads_back_as_it_was_resolved(kept):
    suite = read_document(kept).manifest.suite
    found = tomllib.loads("\n".join(toml_lines(suite)))
    assert found["matrix"] == suite["matrix"]
    assert found["exclude"] == [
        {key: value for key, value in item.items() if value is not None} for item in suite["exclude"]
    ]
    assert found["protocol"] == suite["protocol"]


def test_the_commands_name_seed_and_device(kept):
    commands = commands_of(read_document(kept).manifest)
    assert "greenbench run h100.toml --seed 0 --device cuda" in commands


def test_an_adopted_path_is_one_word_of_the_shell(kept):
    manifest = read_document(kept).manifest
    name, entry = next(iter(manifest.runtimes.items()))
    adopted = "/opt/my env/bin/python; touch /tmp/x"
    changed = manifest.model_copy(update={"runtimes": {name: entry.model_copy(update={"adopted": adopted})}})
    *_, run = commands_of(changed).splitlines()
    assert shlex.split(run)[-2:] == ["--env", f"{name}={adopted}"]
