from greenbench.fleet.build_log import base_image_refused, failing_line, plain_line

PIP = """#9 [4/8] RUN pip install
#9 1.020 Collecting numpy==99
#9 1.731 ERROR: Could not find a version that satisfies the requirement numpy==99 (from versions: 1.0, 2.0)
#9 1.733 ERROR: No matching distribution found for numpy==99
#9 ERROR: process "/bin/sh -c pip install" did not complete successfully: exit code: 1
failed to solve: process "/bin/sh -c pip install" did not complete successfully: exit code: 1
""".splitlines()
BASE = """#2 [onnxruntime internal] load metadata for docker.io/library/nosuch:1
#2 ERROR: failed to do request: Head "https://registry-1.docker.io/v2/library/nosuch/manifests/1": no route
failed to solve: nosuch:1: failed to resolve source metadata for docker.io/library/nosuch:1: no route
""".splitlines()


def test_pips_own_last_line_says_why():
    assert failing_line(PIP) == "ERROR: No matching distribution found for numpy==99"


def test_after_a_traceback_its_last_line_says_why():
    lines = [
        "#9 1.0 ERROR: Exception:",
        "#9 1.0 Traceback:",
        "#9 1.1 OSError: no space left",
        "#9 ERROR: process",
    ]
    assert failing_line(lines) == "OSError: no space left"


def test_without_pip_the_failing_steps_last_line_says_why():
    lines = [
        "#8 9.0 Successfully installed",
        "#9 1.0 ImportError: grpc",
        "#9 1.1 ",
        "#9 ERROR: process",
        "failed",
    ]
    assert failing_line(lines) == "ImportError: grpc"


def test_a_step_that_said_nothing_leaves_the_word_to_the_builder():
    lines = ["#8 9.0 Successfully installed", "#9 ERROR: COPY x: not found", "failed to solve"]
    assert failing_line(lines) == "ERROR: COPY x: not found"


def test_a_venv_log_has_no_step_numbers():
    assert (
        failing_line(["Collecting x", "ERROR: Invalid requirement: 'x=='"])
        == "ERROR: Invalid requirement: 'x=='"
    )


def test_without_an_error_line_the_last_one_speaks():
    assert failing_line(["one", "two", ""]) == "two"
    assert failing_line([]) == "no output"


def test_a_long_line_keeps_both_ends():
    said = failing_line(["ERROR: begin " + "1.0, " * 300 + "end"])
    assert len(said) < 420
    assert said.startswith("ERROR: begin")
    assert said.endswith("end")


def test_a_base_image_that_cannot_be_had_is_told_apart_from_pip():
    assert base_image_refused(PIP, "nosuch:1") is None
    assert "no route" in (base_image_refused(BASE, "nosuch:1") or "")


def test_step_numbers_and_times_are_left_out():
    assert plain_line("#12 0.331 Collecting numpy\n") == "Collecting numpy"
    assert plain_line("Collecting numpy") == "Collecting numpy"
