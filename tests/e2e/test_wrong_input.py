import socket

import pytest


def one_line(ended):
    assert ended.out == ""
    lines = [line for line in ended.err.splitlines() if line.startswith("greenbench: ")]
    assert len(lines) == 1
    assert "Traceback" not in ended.err
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("plan", "nosuch"), ("nosuch", "quick")),
        (("plan", "--set", "windw_s=3"), ("windw_s",)),
        (("plan", "--set", "protocol.window_s=minus"), ("window_s", "minus")),
        (("plan", "--set", "model=resnet51"), ("resnet51", "resnet50")),
        (("plan", "--only", "runtime=caffe"), ("caffe",)),
        (("plan", "--set", "path=served"), ("served", "not built")),
        (("plan", "--launcher", "remote"), ("remote", "not built")),
        (("plan", "--launcher", "podman"), ("podman", "docker")),
        (("plan", "--device", "tpu"), ("tpu", "cuda")),
        (("plan", "--env", "pytorch"), ("pytorch", "RUNTIME=PYTHON")),
        (("plan", "--env", "caffe=/bin/python"), ("caffe", "pytorch")),
        (("run", "--resume", "nosuch"), ("nosuch",)),
        (("plan", "--shard", "3/2"), ("3/2", "I/N")),
        (("run", "--shard", "1/9"), ("2 blocks", "at most 2")),
        (("run", "--shard", "1/2", "--target-u", "1%"), ("target_u", "--rounds")),
        (("status", "nosuch"), ("nosuch",)),
        (("status",), ("no runs",)),
        (("report", "nosuch", "--carbon-intensity", "3", "--figures", "f"), ("--carbon-intensity", "--md")),
        (("report", "nosuch", "--price", "inf"), ("--price inf", "from 0 up")),
        (("up", "caffe", "--launcher", "venv"), ("caffe", "pytorch")),
    ],
)
def test_a_wrong_word_is_one_line_that_names_it_and_what_is_allowed(greenbench, tmp_path, arguments, words):
    ended = greenbench(*arguments, GREENBENCH_STATE=str(tmp_path / "s"))
    assert ended.status == 2
    line = one_line(ended)
    assert all(word in line for word in words), line


def test_a_broken_suite_file_is_named(greenbench, tmp_path):
    (tmp_path / "mine.toml").write_text('name = "mine"\n[matrix]\nbatchsize = [1]\n')
    ended = greenbench("plan", "mine.toml")
    assert ended.status == 2
    assert "mine.toml" in one_line(ended)
    assert "batchsize" in one_line(ended)


def test_a_run_before_up_names_the_command(greenbench, tmp_path):
    ended = greenbench("run", "--launcher", "venv", "--device", "cpu", GREENBENCH_STATE=str(tmp_path / "s"))
    assert ended.status == 2
    assert "greenbench up" in one_line(ended)


def test_cuda_without_a_gpu_is_one_line(greenbench, tmp_path):
    ended = greenbench("plan", "--device", "cuda", GREENBENCH_STATE=str(tmp_path / "s"))
    if ended.status == 0:
        pytest.skip("this host has an NVIDIA GPU")
    assert ended.status == 2
    assert "--device cuda" in one_line(ended)


def test_a_state_folder_that_cannot_be_written_is_named(greenbench, tmp_path):
    (tmp_path / "file").write_text("")
    ended = greenbench("plan", GREENBENCH_STATE=str(tmp_path / "file" / "state"))
    assert ended.status == 2
    assert "GREENBENCH_STATE" in one_line(ended)


@pytest.mark.runtime
@pytest.mark.timeout(900)
def test_a_taken_port_is_one_line(greenbench, built_venv):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = greenbench(
            "serve",
            "onnxruntime",
            "--launcher",
            "venv",
            "--device",
            "cpu",
            "--model",
            "mobilenet_v2",
            "--address",
            f"127.0.0.1:{port}",
        )
    assert ended.status != 0
    assert str(port) in one_line(ended)
