"""Tokens and passwords in a user's environment: in nothing that greenbench writes or prints."""

import pytest
from tests.e2e.conftest import state_root

PLANTED = "planted-52c80e"
ENVIRONMENT = {
    "HF_TOKEN": PLANTED,
    "HUGGING_FACE_HUB_TOKEN": PLANTED,
    "HTTPS_PROXY": f"http://me:{PLANTED}@127.0.0.1:9",
    "PIP_EXTRA_INDEX_URL": f"https://me:{PLANTED}@index.example/simple",
    "AWS_SECRET_ACCESS_KEY": PLANTED,
}


def holding(folder):
    """Return the files below a folder that hold the secret."""
    return [path for path in folder.rglob("*") if path.is_file() and PLANTED.encode() in path.read_bytes()]


@pytest.mark.runtime
def test_what_is_measured_told_and_kept_holds_no_secret_of_the_environment(
    greenbench, built_venv, short, run_folder, tmp_path
):
    told = [greenbench("up", "onnxruntime", "--launcher", "venv", "--device", "cpu", **ENVIRONMENT)]
    told.append(greenbench("run", "--launcher", "venv", "--rounds", "1", *short, **ENVIRONMENT))
    folder = run_folder()
    files = {"--html": "r.html", "--md": "r.md", "--csv": "r.csv", "--latex": "r.tex"}
    named = [word for option, name in files.items() for word in (option, str(tmp_path / name))]
    told.append(greenbench("report", str(folder), *named, **ENVIRONMENT))
    told += [
        greenbench(*words, **ENVIRONMENT) for words in (("doctor",), ("verify", str(folder)), ("status",))
    ]
    assert told[1].status in {0, 1}
    assert all(ended.out or ended.err for ended in told)
    assert not any(PLANTED in ended.out + ended.err for ended in told)
    assert len(list(folder.rglob("*.parquet"))) >= 3
    assert holding(tmp_path) == []
    logs = state_root() / "logs"
    assert list(logs.iterdir())
    assert holding(logs) == holding(state_root() / "builds") == []
    (tmp_path / "control").write_text(PLANTED)
    assert holding(tmp_path) == [tmp_path / "control"]
