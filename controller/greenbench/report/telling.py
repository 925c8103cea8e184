"""Telling runs: the page, the tables and the pictures that were asked for, or the terminal's answer."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from greenbench.core.errors import DamagedResultsError, GreenbenchError
from greenbench.report.corrected import beside_lines, besides_of
from greenbench.report.document import read_document
from greenbench.report.outcome import print_outcome
from greenbench.report.publish import PAGE_FILE, Outputs, Published, follow, publish
from greenbench.report.tariff import Tariff
from greenbench.report.visible import visible


def tell(folders: Sequence[Path], outputs: Outputs, tariff: Tariff, *, watch: bool) -> tuple[str, ...]:
    """Write what was asked for and print where it is, or print the answers where nothing was.

    Args:
        folders: The runs.
        outputs: What to write.
        tariff: What a kilowatt-hour means to the reader.
        watch: Whether to do it anew until every run has ended.

    Returns:
        One sentence per run or file that could not be read.

    Raises:
        DamagedResultsError: No run can be read.
        ConfigurationError: A file cannot be written.
    """

    def show(published: Published) -> None:
        if not outputs.wanted:
            _print(folders, tariff)
        for file in published.files:
            print(file)

    if watch:
        return follow(folders, outputs, tariff, seen=show).problems
    published = publish(folders, outputs, tariff)
    show(published)
    return published.problems


def write_page(folder: Path) -> tuple[Path | None, tuple[str, ...]]:
    """Write a run's page into its folder.

    Returns:
        The page, or None where it could not be written; one sentence per problem.
    """
    try:
        published = publish([folder], Outputs(html=folder / PAGE_FILE), Tariff())
    except Exception as err:  # noqa: BLE001 - hours of measuring have just been stored: no picture may fail them
        kind = "" if isinstance(err, GreenbenchError | OSError) else f"{type(err).__name__}: "
        return None, (f"no page was written, the results are whole: {kind}{' '.join(str(err).split())}",)
    return published.files[0], published.problems


def _print(folders: Sequence[Path], tariff: Tariff) -> None:
    for folder in folders:
        try:
            print_outcome(folder, tariff=tariff)
        except DamagedResultsError as err:
            # `publish` has named the file already; here only the table is missing.
            print(visible(f"{folder}: no table, {err}"))
    for line in _besides(folders) if len(folders) > 1 else ():
        print(visible(line))


def _besides(folders: Sequence[Path]) -> Iterator[str]:
    documents = []
    for folder in folders:
        # A run that cannot be read has been named above.
        with suppress(DamagedResultsError):
            documents.append(read_document(folder))
    for beside in besides_of(documents):
        yield from beside_lines(beside)
