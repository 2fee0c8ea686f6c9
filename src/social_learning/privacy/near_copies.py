"""Near copies: private rows with one word, number or name changed. The control that shows whether a measure sees them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from social_learning.guards import Origin, private_texts
from social_learning.privacy.detectors import NUMBER
from social_learning.privacy.wording import LEAST_WORDS, wording
from social_learning.task import ANSWER, Example
from social_learning.text import words_of

_TOKEN = re.compile(rf"(?P<number>{NUMBER.pattern})|\S+")


@dataclass(frozen=True, slots=True)
class _Place:
    """A word, number or name of a row, where it can be changed."""

    row: Example = field(repr=False)
    name: str
    start: int
    end: int
    kind: str


def near_copy(
    origin: Origin, rows: Sequence[Example], public: Sequence[Example], rng: np.random.Generator
) -> Example | None:
    """Return one of `rows` with a word, number or name changed, at random: which kind, as far as a row holds it, and where.

    A number gets other digits, each of them; a word or name becomes one of those in `public`. Only texts of LEAST_WORDS words or
    more are changed; None where no row has one.
    """
    long = [row for row in rows if _long_texts(origin, row)]
    if not long:
        return None
    row = long[int(rng.integers(len(long)))]
    places = [place for name, text in _long_texts(origin, row).items() for place in _places(origin, row, name, text)]
    kinds = sorted({place.kind for place in places})
    kind = kinds[int(rng.integers(len(kinds)))]
    chosen = [place for place in places if place.kind == kind]
    return _changed(chosen[int(rng.integers(len(chosen)))], public, rng)


def _long_texts(origin: Origin, row: Example) -> dict[str, str]:
    texts = {**row.fields, ANSWER: row.answer}
    private = private_texts(origin.task, row)
    return {name: text for name, text in texts.items() if text in private and len(wording(text)) >= LEAST_WORDS}


def _places(origin: Origin, row: Example, name: str, text: str) -> list[_Place]:
    places = []
    for match in _TOKEN.finditer(text):
        words = words_of(match[0])
        if words:
            named = any(word in origin.private.found.names for word in words)
            kind = "number" if match["number"] else "name" if named else "word"
            places.append(_Place(row, name, match.start(), match.end(), kind))
    return places


def _changed(place: _Place, public: Sequence[Example], rng: np.random.Generator) -> Example:
    row = place.row
    text = row.answer if place.name == ANSWER else row.fields[place.name]
    old = text[place.start : place.end]
    if place.kind == "number":
        new = re.sub(r"\d", lambda digit: str((int(digit[0]) + int(rng.integers(1, 10))) % 10), old)
    else:
        known = {word for other in public for field in other.fields.values() for word in words_of(field)}
        words = sorted(word for word in known - set(words_of(text)) if word.isalpha())
        new = words[int(rng.integers(len(words)))] if words else f"{words_of(old)[0]}x"
    text = f"{text[: place.start]}{new}{text[place.end :]}"
    if place.name == ANSWER:
        return Example(fields=row.fields, answer=text)
    return Example(fields={**row.fields, place.name: text}, answer=row.answer)
