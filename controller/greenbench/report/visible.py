"""Names and reasons from results made safe to show: what would steer a terminal, or hide, is spelled out."""

from typing import Any
from unicodedata import category

from rich.text import Text

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control, format (overrides of writing direction), surrogate, separators of lines and paragraphs."""
_KEPT = frozenset("\n\t")


def visible(text: str) -> str:
    r"""Return a text in which every character that is not seen is spelled: an escape becomes ``\x1b``.

    Line breaks and tabs stay: reasons have several lines.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spelled(letter) if _hides(letter) else letter for letter in text)


def visible_values(values: Any) -> Any:
    """Return plain values, such as a drawing's, with every text in them made visible, keys too."""
    if isinstance(values, str):
        return visible(values)
    if isinstance(values, dict):
        return {visible(key): visible_values(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [visible_values(value) for value in values]
    return values


def shown(text: str, style: str = "") -> Text:
    """Return a text for the terminal, visible and never markup; what a terminal is told goes through here.

    Args:
        text: Any, from results too.
        style: Rich's.
    """
    return Text(visible(text), style=style)


def _hides(letter: str) -> bool:
    return letter not in _KEPT and category(letter) in _UNSEEN


def _spelled(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
