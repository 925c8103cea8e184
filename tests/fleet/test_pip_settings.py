import configparser
import stat
from pathlib import Path

import pytest

from greenbench.fleet.build_inputs import locked_names, tree_hash, write_build_inputs
from greenbench.fleet.pip_settings import parse_pip_settings, read_pip_settings, without_credentials


def listing(**values: str) -> str:
    return "\n".join(f"global.{key.replace('_', '-')}={value!r}" for key, value in values.items())


def inputs(
    tmp_path: Path, text: str, *, lock: str = "", extra: str | None = None, device: str = "cpu"
) -> tuple[dict[str, str], Path]:
    (tmp_path / "x.lock").write_text(lock)
    made = write_build_inputs(
        parse_pip_settings(text),
        folder=tmp_path / "in",
        lock=tmp_path / "x.lock",
        extra_index_url=extra,
        device=device,
    )
    parser = configparser.RawConfigParser()
    parser.read(made.configuration)
    return dict(parser["global"]), tmp_path / "in"


def test_environment_beats_command_beats_global():
    text = "global.index-url='https://a/'\ninstall.index-url='https://b/'\n:env:.index-url='https://c/'"
    assert parse_pip_settings(text).values["index-url"] == "https://c/"
    assert parse_pip_settings("install.index-url='https://b/'\nglobal.index-url='https://a/'").values == {
        "index-url": "https://b/"
    }


def test_credentials_go_to_the_build_and_are_never_shown(tmp_path):
    text = listing(index_url="https://me:hunter2@pypi.example/simple")
    settings = parse_pip_settings(text)
    assert "hunter2" not in "".join(settings.handed_over)
    assert "https://****@pypi.example/simple" in settings.handed_over[0]
    values, folder = inputs(tmp_path, text)
    assert values["index-url"] == "https://me:hunter2@pypi.example/simple"
    assert stat.S_IMODE((folder / "pip.conf").stat().st_mode) == 0o600
    assert (
        without_credentials("from https://u:p@h/x and http://t@h")
        == "from https://****@h/x and http://****@h"
    )


def test_what_a_build_cannot_reach_is_said_with_the_reason():
    settings = parse_pip_settings(
        listing(
            index_url="http://localhost:3141/root",
            extra_index_url="file:///srv/simple https://far.example/simple",
            constraint="/etc/c.txt",
            cert="/nowhere/ca.pem",
        )
    )
    said = "\n".join(settings.not_handed)
    assert "index-url http://localhost:3141/root: it answers on this host only" in said
    assert "extra-index-url file:///srv/simple: it lies on this host" in said
    assert "constraint /etc/c.txt: the lock file names every version" in said
    assert "cert /nowhere/ca.pem: it cannot be read" in said
    assert settings.values == {"extra-index-url": "https://far.example/simple"}


def test_wheels_that_the_lock_names_are_handed_and_no_others(tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    for name in (
        "torch-2.0+cpu-cp311-linux.whl",
        "My_Pack.age-1-py3-none-any.whl",
        "other-1-py3-none-any.whl",
    ):
        (store / name).write_text(name)
    lock = "# other==1\ntorch==2.0 \\\n    --hash=sha256:aa\nmy-pack-age==1\n"
    values, folder = inputs(tmp_path, listing(find_links=f"{store}\nhttps://far.example/links"), lock=lock)
    assert sorted(path.name for path in (folder / "wheels").iterdir()) == [
        "My_Pack.age-1-py3-none-any.whl",
        "torch-2.0+cpu-cp311-linux.whl",
    ]
    assert values["find-links"].split() == ["/wheels", "https://far.example/links"]


def test_a_bundle_is_copied_and_named_where_the_build_sees_it(tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.write_text("CERTIFICATE")
    values, folder = inputs(tmp_path, listing(cert=str(bundle), default_timeout="99"))
    assert values["cert"] == "/run/secrets/pip_cert"
    assert values["timeout"] == "99"
    assert (folder / "cert.pem").read_text() == "CERTIFICATE"


@pytest.mark.parametrize(
    ("text", "used"),
    [
        ("", "https://cpu.example"),
        ("global.find-links='/tmp'", None),
        ("global.timeout='3'", "https://cpu.example"),
    ],
)
def test_the_catalogues_index_is_used_where_the_host_names_no_source(tmp_path, text, used):
    values, _ = inputs(tmp_path, text, extra="https://cpu.example")
    assert values.get("extra-index-url") == used


def test_a_python_without_pip_is_said(tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    settings = read_pip_settings(program)
    assert not settings.names_a_source
    assert "does not work" in settings.not_handed[0]


def test_the_running_pip_answers():
    assert isinstance(read_pip_settings().names_a_source, bool)


def test_a_tree_hash_follows_contents_names_and_seed(tmp_path):
    (tmp_path / "tree" / "__pycache__").mkdir(parents=True)
    (tmp_path / "tree" / "a.py").write_text("1")
    first = tree_hash([tmp_path / "tree"], seed="x")
    (tmp_path / "tree" / "__pycache__" / "a.pyc").write_text("compiled")
    assert tree_hash([tmp_path / "tree"], seed="x") == first
    assert tree_hash([tmp_path / "tree"], seed="y") != first
    (tmp_path / "tree" / "a.py").write_text("2")
    assert tree_hash([tmp_path / "tree"], seed="x") != first


def test_names_in_a_lock_are_normalised(tmp_path):
    lock = tmp_path / "x.lock"
    lock.write_text(
        "--index-url https://x\nnumpy==1\nGrpc_IO.Tools==2 ; python_version > '3'\n\n# torch==1\n"
    )
    assert locked_names(lock) == {"numpy", "grpc-io-tools"}


@pytest.mark.parametrize(
    ("device", "handed"),
    [
        ("cpu", {"torch-2.1+cpu-x.whl", "torch-2.1%2Bcpu-y.whl", "numpy-2.0-x.whl"}),
        ("cuda", {"numpy-2.0-x.whl"}),
    ],
)
def test_a_wheel_for_the_cpu_is_not_handed_to_a_cuda_build(tmp_path, device, handed):
    folder = tmp_path / "kept"
    folder.mkdir()
    for name in ("torch-2.1+cpu-x.whl", "torch-2.1%2Bcpu-y.whl", "numpy-2.0-x.whl"):
        (folder / name).write_text("")
    lock = "torch==2.1\nnumpy==2.0\n"
    _, made = inputs(tmp_path, listing(find_links=str(folder)), lock=lock, device=device)
    assert {file.name for file in (made / "wheels").iterdir()} == handed
