"""Labels: when two class names are the same, which one a text starts with, and which begin alike."""

import re
import unicodedata
from collections.abc import Sequence

_MARKS = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
"""Accents that stand as characters of their own: what they follow is another letter."""


def composed(text: str) -> str:
    """Return a text with its accents composed (NFC), as texts are compared: "é" may be written in two ways."""
    return unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """Return a text as labels are compared: without blanks at its ends, accents composed, case folded."""
    return composed(composed(text.strip()).casefold())


def label_at_start(text: str, labels: Sequence[str]) -> str | None:
    """Return the longest label that a text starts with, not just the beginning of a longer word; None where there is none."""
    told = folded(text)
    for label in sorted(labels, key=lambda label: len(folded(label)), reverse=True):
        start = folded(label)
        after = told[len(start) : len(start) + 1]
        goes_on = bool(after) and (_is_accent(after) or (_is_word(start[-1]) and _is_word(after)))
        if told.startswith(start) and not goes_on:
            return label
    return None


def label_pattern(labels: Sequence[str]) -> str:
    """Return a regular expression for one of the labels in a text, the longest first, in any case and with accents in either form."""
    forms = {form for label in labels for form in (label, composed(label), unicodedata.normalize("NFD", label))}
    return "(?i:" + "|".join(map(_whole, sorted(forms, key=lambda form: (-len(form), form)))) + ")"


def begin_alike(labels: Sequence[str]) -> bool:
    """Whether one of the labels is the beginning of another one, whatever their case."""
    starts = [folded(label) for label in labels]
    return any(other.startswith(start) for start in starts for other in starts if other != start)


def _whole(label: str) -> str:
    """A pattern for a label that is not just the beginning of a longer word."""
    return re.escape(label) + (rf"(?![\w{_MARKS}])" if _is_word(label[-1]) else f"(?![{_MARKS}])")


def _is_word(sign: str) -> bool:
    return sign.isalnum() or sign == "_" or _is_accent(sign)


def _is_accent(sign: str) -> bool:
    return unicodedata.category(sign).startswith("M")
