"""Unseen characters: those that show nothing of their own, or steer how others are shown. Texts can hide in them."""

import unicodedata

_WITHOUT_INK = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0")
"""Characters without ink that are letters, signs or combining marks for Unicode."""


def is_unseen(character: str) -> bool:
    """Tell whether a character is a control, format, private-use or surrogate one, a variation selector (but for those that choose
    between text and emoji), or has no ink. White space is none of them, but for control characters.
    """
    if unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs") or character in _WITHOUT_INK:
        return True
    return "\ufe00" <= character <= "\ufe0d" or "\U000e0100" <= character <= "\U000e01ef"
