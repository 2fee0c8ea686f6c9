"""Text as it is compared: without what cannot be seen, without case, and word by word."""

import string
import unicodedata

from social_learning.unseen import is_unseen

PUNCTUATION = string.punctuation + "\u2018\u2019\u201c\u201d\u2026"


def visible(text: str) -> str:
    """Return `text` without control and invisible characters; line breaks stay, other white space becomes a blank."""
    if text.isascii() and text.replace("\n", " ").isprintable():
        return text  # most text is: a whole silo is read here for each teacher
    kept = (c if c == "\n" or not c.isspace() else " " for c in text)
    return "".join(c for c in kept if c == "\n" or not is_unseen(c))


def normalise(text: str) -> str:
    """Return `text` without case, invisible characters, variants of letters and runs of blanks: the same wording."""
    shown = visible(text)
    if shown.isascii():  # has neither variants nor, in most texts, anything else to fold
        return " ".join(shown.lower().split())
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", shown).casefold()).split())


def words_of(text: str) -> list[str]:
    """Return the words of a text, normalised; punctuation at their ends does not count."""
    return [word for part in normalise(text).split() if (word := part.strip(PUNCTUATION))]
