"""Writing reports of runs: a page, tables, pictures."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from greenbench.core.errors import ConfigurationError, DamagedResultsError
from greenbench.report.document import Document, read_document
from greenbench.report.tariff import Tariff
from greenbench.results.durable import replacing
from greenbench.results.events import is_written
from greenbench.results.folder import RunFolder
from greenbench.results.status import status_of
from greenbench.results.stored import EVENTS

PAGE_FILE = "report.html"
_LOOK_AGAIN_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What is to be written; None where nothing is.

    Attributes:
        html: The page.
        markdown: Tables for a repository.
        csv: Cells for a machine; beside it comparisons, claims, what was converted
            by a tariff and, of several runs, corrections.
        latex: Tables for a paper.
        figures: Folder of the figures as SVG, PNG and PDF.
    """

    html: Path | None = None
    markdown: Path | None = None
    csv: Path | None = None
    latex: Path | None = None
    figures: Path | None = None

    @property
    def wanted(self) -> bool:
        """Whether anything is."""
        return self.figures is not None or self.worded

    @property
    def worded(self) -> bool:
        """Whether any of it holds words and tables, not pictures alone."""
        return any((self.html, self.markdown, self.csv, self.latex))


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What was written and what could not be read.

    Attributes:
        files: Written, in the order of writing.
        problems: One sentence per run or file that could not be read.
    """

    files: tuple[Path, ...]
    problems: tuple[str, ...]


def publish(folders: Sequence[Path], outputs: Outputs, tariff: Tariff) -> Published:
    """Write the reports asked for; a run that cannot be read is named and the others are told.

    Raises:
        DamagedResultsError: No run can be read.
        ConfigurationError: A file cannot be written.
    """
    documents, unread = _read(folders)
    files = [_write(path, text()) for path, text in _texts(documents, unread, outputs, tariff) if path]
    if outputs.figures:
        files += _draw(documents, outputs.figures)
    problems = [*unread, *(problem for document in documents for problem in document.problems)]
    return Published(files=tuple(files), problems=tuple(problems))


def follow(
    folders: Sequence[Path],
    outputs: Outputs,
    tariff: Tariff,
    *,
    seen: Callable[[Published], None],
    pause: Callable[[float], None] = time.sleep,
) -> Published:
    """Write the reports again whenever the log of a run grew, until every run has ended.

    Args:
        folders: The runs.
        outputs: What is to be written each time.
        tariff: What a kilowatt-hour means to the reader.
        seen: Called after each writing.
        pause: Waits so many seconds.
    """
    before: list[int] = []
    while True:
        # Asked before the logs are read: what is written after it is told by the next look.
        over = not any(is_written(folder / EVENTS) for folder in folders)
        now = [_size(folder) for folder in folders]
        if now != before:
            over = over or all(_ended(folder) for folder in folders)
            before, published = now, publish(folders, outputs, tariff)
            seen(published)
        if over:
            return published
        pause(_LOOK_AGAIN_S)


def _size(folder: Path) -> int:
    log = folder / EVENTS
    return log.stat().st_size if log.exists() else 0


def _ended(folder: Path) -> bool:
    with RunFolder.open(folder, folder.parent) as run:
        return status_of(run).state != "running"


def _read(folders: Sequence[Path]) -> tuple[list[Document], list[str]]:
    documents, unread = [], []
    for folder in folders:
        try:
            documents.append(read_document(folder))
        except DamagedResultsError as err:
            unread.append(str(err))
    if not documents:
        raise DamagedResultsError("; ".join(unread))
    return documents, unread


def _texts(
    documents: Sequence[Document], unread: Sequence[str], outputs: Outputs, tariff: Tariff
) -> list[tuple[Path | None, Callable[[], str]]]:
    # The page's libraries take a second to import: only who writes a page needs them.
    from greenbench.report import corrected, csv_tables, tables  # noqa: PLC0415

    def page() -> str:
        from greenbench.report.html import html_of  # noqa: PLC0415

        return html_of(documents, tariff, unread=unread)

    several = outputs.csv if len(documents) > 1 else None
    priced = outputs.csv if tariff.given else None
    return [
        (outputs.html, page),
        (outputs.markdown, lambda: tables.markdown_of(documents, tariff)),
        (outputs.csv, lambda: csv_tables.csv_of(documents)),
        (_beside(outputs.csv, "comparisons"), lambda: csv_tables.comparisons_csv_of(documents)),
        (_beside(outputs.csv, "claims"), lambda: csv_tables.claims_csv_of(documents)),
        (_beside(priced, "footprint"), lambda: csv_tables.footprints_csv_of(documents, tariff)),
        (_beside(several, "corrections"), lambda: corrected.corrections_csv_of(documents)),
        (outputs.latex, lambda: tables.latex_of(documents, tariff)),
    ]


def _beside(path: Path | None, name: str) -> Path | None:
    return path and path.with_name(f"{path.stem}-{name}{path.suffix}")


def _draw(documents: Sequence[Document], folder: Path) -> list[Path]:
    from greenbench.report.figures import draw_files, figures_of  # noqa: PLC0415 - as above

    several = len(documents) > 1
    return [
        path
        for document in documents
        for path in draw_files(figures_of(document), folder / document.manifest.run_id if several else folder)
    ]


def _write(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise ConfigurationError(f"{path} cannot be written: {err.strerror}") from err
    with replacing(path) as file:
        file.write(text.encode())
    return path
