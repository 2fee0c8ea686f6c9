"""Detectors: names, numbers, e-mail addresses and links in a text. Simple and offline by default; Presidio as an extra.

They find what may point at a person or a thing, by its form alone. They miss names that the texts write in lower case or in
capitals only, or at the beginnings of sentences only, and take some capitalised words for names.
"""

import importlib.util
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Protocol

from social_learning.errors import ConfigError
from social_learning.privacy.links import host_of, links_in

LEAST_DIGITS = 3
"""Shorter numbers are shared by chance: nearly every text has a 2."""

SUBSCRIBER = 9
"""The last digits of a telephone number that are the same with and without the codes before them."""

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
NUMBER = re.compile(r"\d(?:[\d ,./()-]*\d)?")
"""A number with the marks inside it."""
_MARKS = {"Zs": " ", "Pd": "-"}
"""Blanks and dashes of all kinds stand inside numbers as the plain ones do."""
_BETWEEN_MARKS = re.compile(r"(?<!\d)\d{1,3}(?:,\d{3})+(?!\d)|\d+")
"""A number without the marks between numbers; commas may part its thousands."""

_SENTENCE_START = re.compile(r"(?:^|[.!?:\n\"'(]\s*|[.!?]['\")]\s+)$")
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_TITLES = frozenset(["mr", "mrs", "ms", "miss", "dr", "prof", "sir", "lady", "lord", "aunt", "uncle"])


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in texts, each kind as a set in a form that can be compared: case and separators do not count."""

    names: frozenset[str] = field(default=frozenset(), repr=False)
    numbers: frozenset[str] = field(default=frozenset(), repr=False)
    emails: frozenset[str] = field(default=frozenset(), repr=False)
    links: frozenset[str] = field(default=frozenset(), repr=False)


KINDS = tuple(kind.name for kind in fields(Found))
"""What is looked for: names, numbers, emails, links."""


class Detector(Protocol):
    """Finds items in the private texts of a silo, taken together."""

    def find(self, texts: Sequence[str]) -> Found:
        """Return what the texts hold."""


class FormDetector:
    """The default: finds items by their form.

    A number has three digits or more; separators inside it do not count. A name is a word that begins with a capital, is not all
    capitals and does not begin a sentence, or that follows a title such as `mr`; and that the texts never write in lower case
    otherwise. Each part of a name with a hyphen is one too.
    """

    def find(self, texts: Sequence[str]) -> Found:
        """Return what the texts hold; the more text, the fewer words are taken for names by mistake."""
        return Found(
            names=self._names(texts),
            numbers=frozenset(number for text in texts for number in numbers_in(text)),
            emails=frozenset(match.casefold() for text in texts for match in _EMAIL.findall(text)),
            links=frozenset(host_of(link) for text in texts for link in _links(text)),
        )

    def _names(self, texts: Iterable[str]) -> frozenset[str]:
        capitalised, plain, titled = set[str](), set[str](), set[str]()
        for text in texts:
            before = ""
            for match in _WORD.finditer(_without_addresses(text)):
                word = re.sub(r"['’]s$", "", match[0])
                if before in _TITLES and len(word) > 1:
                    titled.update(_name_and_parts(word))
                elif word[0].isupper() and not word.isupper():
                    if not _SENTENCE_START.search(match.string[max(0, match.start() - 4) : match.start()]):
                        capitalised.update(_name_and_parts(word))
                elif word.islower():
                    plain.add(word)
                before = word.casefold()
        return frozenset(titled | (capitalised - plain - _TITLES))


def _links(text: str) -> list[str]:
    return [match[0] for match in links_in(_EMAIL.sub(" ", text))]


def _without_addresses(text: str) -> str:
    rest = _EMAIL.sub(" ", text)
    for match in reversed([*links_in(rest)]):
        rest = f"{rest[: match.start()]} {rest[match.end() :]}"
    return rest


def _name_and_parts(word: str) -> Iterable[str]:
    """A name, and each of its parts of two letters or more where it has a hyphen."""
    return {word.casefold(), *(part for part in word.casefold().split("-") if len(part) > 1)}


class PresidioDetector:
    """Microsoft Presidio in place of our own forms, for names, numbers, e-mail addresses and links.

    `analyzer` has the method `analyze(text, language)` of Presidio's AnalyzerEngine, which is made where none is given.
    Raises ConfigError where the extra is not installed.
    """

    _KINDS: ClassVar = {"PERSON": "names", "EMAIL_ADDRESS": "emails", "URL": "links"}

    def __init__(self, analyzer: Any = None) -> None:
        if analyzer is None:
            if importlib.util.find_spec("presidio_analyzer") is None:
                raise ConfigError(
                    "privacy.detector 'presidio' needs an extra: pip install 'social-learning[presidio]', and a language "
                    "model of spaCy"
                )
            from presidio_analyzer import AnalyzerEngine

            analyzer = AnalyzerEngine()
        self._analyzer = analyzer

    def find(self, texts: Sequence[str]) -> Found:
        """Return what Presidio finds, in the forms that `shared` looks for.

        A name counts whole and by each of its parts of two letters or more. Items of Presidio's other kinds count as
        numbers where they hold three digits or more.
        """
        found: dict[str, set[str]] = {kind: set() for kind in KINDS}
        for text in texts:
            for result in self._analyzer.analyze(text=text, language="en"):
                kind = self._KINDS.get(result.entity_type, "numbers")
                found[kind].update(_forms(kind, text, result.start, result.end))
            found["numbers"].update(numbers_in(text))
        return Found(**{kind: frozenset(items) for kind, items in found.items()})


def _forms(kind: str, text: str, start: int, end: int) -> Iterable[str]:
    """The forms in which one item of a text is compared; an item that ends inside a word is taken with all of it."""
    if kind == "numbers":
        return numbers_in(text[start:end])
    if kind == "emails":
        return [match.casefold() for match in _covering(_EMAIL.finditer(text), start, end)]
    if kind == "links":
        return [host_of(link) for link in _covering(links_in(text), start, end)] or [host_of(text[start:end])]
    words = _words(" ".join(_covering(_WORD.finditer(text), start, end)))
    return {" ".join(words), *(word for word in words if len(word) > 1 and word not in _TITLES)} - {""}


def _covering(matches: Iterable[re.Match[str]], start: int, end: int) -> list[str]:
    """Those of the matches in a text that overlap with the given place."""
    return [match[0] for match in matches if match.start() < end and match.end() > start]


def detector(name: str) -> Detector:
    """Return the detector of an experiment's `privacy.detector`: `own` or `presidio`."""
    return PresidioDetector() if name == "presidio" else FormDetector()


def numbers_in(text: str) -> frozenset[str]:
    """Return the numbers of a text as digits alone: whole, in the pieces between blanks, and each of the numbers that marks keep
    apart; three digits or more each. Digits of other scripts count as their ASCII ones.

    `0800 555-0142` is one number and holds four others, so that it is found again however its marks are set. Of ten digits
    or more the last nine count too: a telephone number is the same with the country's code before it.
    """
    plain = re.sub(r"\d", lambda digit: str(unicodedata.decimal(digit[0])), text)
    plain = "".join(_MARKS.get(unicodedata.category(c), c) if not c.isascii() else c for c in plain)
    pieces = [
        piece for match in NUMBER.findall(plain) for piece in (match, *match.split(), *_BETWEEN_MARKS.findall(match))
    ]
    digits = {re.sub(r"\D", "", piece) for piece in pieces}
    tails = {number[-SUBSCRIBER:] for number in digits if len(number) > SUBSCRIBER}
    return frozenset(number for number in digits | tails if len(number) >= LEAST_DIGITS)


def is_common(number: str) -> bool:
    """Tell whether a number, as digits, is one that many texts have: round (at most two digits and then zeros, as the digits of
    £2.50 are), or a year from 1900 to 2099.
    """
    is_round = not number.startswith("0") and len(number.rstrip("0")) <= 2
    return is_round or (len(number) == 4 and number[:2] in ("19", "20"))


def shared_items(found: Found, text: str) -> Found:
    """Return those of the found items that a text holds."""
    folded, in_turn = text.casefold(), _words(text)
    words, whole = set(in_turn), f" {' '.join(in_turn)} "
    links = {host_of(link) for link in _links(text)}
    return Found(
        names=frozenset(name for name in found.names if name in words or (" " in name and f" {name} " in whole)),
        numbers=found.numbers & numbers_in(text),
        emails=found.emails & {match.casefold() for match in _EMAIL.findall(text)},
        # A detector may know links that our own form does not read; these are looked for as they are.
        links=frozenset(link for link in found.links if link in links or (link in folded and not _links(link))),
    )


def shared(found: Found, text: str) -> dict[str, int]:
    """Return how many of the found items a text holds, by kind; only kinds with any."""
    held = shared_items(found, text)
    return {kind: count for kind in KINDS if (count := len(getattr(held, kind)))}


def _words(text: str) -> list[str]:
    """The words of a text in lower case, as names are compared: without punctuation and without a genitive's 's."""
    return [re.sub(r"['’]s$", "", word) for word in _WORD.findall(text.casefold())]
