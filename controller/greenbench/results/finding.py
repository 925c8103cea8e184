"""One thing about a stored run that is not as it was written."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A finding of `greenbench verify`.

    Attributes:
        where: The file, line, load or trial.
        what: One sentence, with what is there and what should be.
    """

    where: str
    what: str
