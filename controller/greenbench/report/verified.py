"""What `greenbench verify` found, one line a finding, or as JSON."""

from dataclasses import asdict
from typing import Any

from rich.console import Console

from greenbench.report.visible import shown
from greenbench.results.finding import Finding


def print_findings(
    findings: tuple[Finding, ...], notes: tuple[str, ...], *, trials: int, head: str, console: Console
) -> None:
    """Print one line a finding, one a note, and what was checked.

    Args:
        findings: What is not as it was written.
        notes: What could not be checked.
        trials: Rows computed again.
        head: SHA-256 of the log's last line.
        console: Where to.
    """
    for finding in findings:
        console.print(shown(f"{finding.where}: {finding.what}"), soft_wrap=True)
    for note in notes:
        console.print(shown(f"note: {note}", "dim"), soft_wrap=True)
    verdict = f"{len(findings)} findings" if findings else "holds"
    console.print(
        shown(f"{verdict}: {trials} trials against their readings; log head {head}"), soft_wrap=True
    )


def findings_json(
    findings: tuple[Finding, ...], notes: tuple[str, ...], *, trials: int, head: str
) -> dict[str, Any]:
    """Return the same as one JSON object."""
    rows = [asdict(finding) for finding in findings]
    return {"holds": not findings, "findings": rows, "notes": list(notes), "trials": trials, "head": head}
