import pytest
from benchmarks.large_run import LIMIT_MIB, main, passed_limits


def test_a_limit_that_is_passed_is_named_with_what_was_measured():
    assert passed_limits("report", seconds=2.0, limit_s=2.0, peak_mib=LIMIT_MIB) == []
    slow, large = passed_limits("report", seconds=2.5, limit_s=2.0, peak_mib=1500.0, limit_mib=1024.0)
    assert slow == "report took 2.5 s, the limit is 2 s"
    assert large == "report held 1500 MiB, the limit is 1024 MiB"


@pytest.mark.browser
def test_a_small_run_is_measured_and_a_limit_ends_with_status_1(chromium_path, kept, capsys):
    assert main(["--readings", "2000", "--from", str(kept), "--limit-mib", "1"]) == 1
    said = capsys.readouterr().out
    assert "2,000 readings" in said
    names = ["report (terminal)", "report --html", "report --figures", "query, a group by", "export, CSV"]
    for name in names:
        assert f"| {name}" in said
        assert f"limit passed: {name}" in said
    assert "Chromium opens and draws it in" in said
