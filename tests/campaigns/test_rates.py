"""What the head of a table of rates says was asked for."""

import pytest
from benchmarks.rates import without_files


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--pairs", "10", "--md", "/some/where.md", "--threads", "1"], ["--pairs", "10", "--threads", "1"]),
        (["--md=/some/where.md", "--json=x", "--pairs", "10"], ["--pairs", "10"]),
        (["--json", "a", "--md", "--b"], []),
        (["--models", "resnet50"], ["--models", "resnet50"]),
    ],
)
def test_a_command_is_told_without_the_files_it_wrote(asked, said):
    assert without_files(asked) == said
