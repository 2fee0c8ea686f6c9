"""Visible text: characters that a reader cannot see, or that reorder what they see, are shown by their number.

Lessons and messages are written by models and strangers. A right-to-left override or a zero-width blank in one of them
would make the page show something other than what the student reads; so each such character appears as a mark like
⟦U+202E⟧.
"""

import re
import unicodedata

from markupsafe import Markup, escape

from social_learning.unseen import is_unseen

_SUSPECT = re.compile(r"[^\t\n\x20-\x7e]")
_MARK = Markup('<span class="mark">{}</span>')


def visible(text: str) -> str:
    """Return `text` with a mark in place of every control, bidi, zero-width, private or unassigned character.

    Line breaks and tabs stay. The result can always be written as UTF-8: lone surrogates become marks too.
    """
    return _SUSPECT.sub(lambda match: _mark(match[0]) if is_hidden(match[0]) else match[0], text)


def marked(text: str) -> Markup:
    """Return `text` as HTML: escaped, each mark in an element of its own, so that a typed ⟦U+202E⟧ looks different."""
    pieces, done = [], 0
    for match in _SUSPECT.finditer(text):
        if is_hidden(match[0]):
            pieces += [escape(text[done : match.start()]), _MARK.format(_mark(match[0]))]
            done = match.end()
    return Markup("").join([*pieces, escape(text[done:])])


def is_hidden(character: str) -> bool:
    """Tell whether a character shows nothing of its own, or steers how others are shown."""
    unassigned_or_break = unicodedata.category(character) in ("Cn", "Zl", "Zp")
    return unassigned_or_break or (is_unseen(character) and character not in "\t\n")


def _mark(character: str) -> str:
    return f"\u27e6U+{ord(character):04X}\u27e7"
