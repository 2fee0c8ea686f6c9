"""Detectors: names, numbers, e-mail addresses and links, found by form."""

from dataclasses import dataclass
from typing import Any

import pytest

from social_learning.errors import ConfigError
from social_learning.privacy.detectors import FormDetector, PresidioDetector, detector, numbers_in, shared

TEXTS = [
    "Hi Mira, it is Mira's turn. Bring the dog to Larkhaven, mr smith waits. Will you?",
    "Call 0800 555-0142 or mail jo.b@example.org. See https://www.larks.example.com/win?x=1 soon. I will.",
]


def test_items_are_found_by_their_form() -> None:
    found = FormDetector().find(TEXTS)
    assert found.names == {"mira", "larkhaven", "smith"}  # "Will" stands at a beginning, and in lower case elsewhere
    assert found.numbers == {"08005550142", "0800", "5550142"}
    assert found.emails == {"jo.b@example.org"}
    assert found.links == {"larks.example.com/win?x=1"}
    assert "mira" not in repr(found)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("MIRA went home", {"names": 1}),
        ("Miranda went home", {}),
        ("ring 08005550142 now", {"numbers": 1}),
        ("ring 555 0142", {"numbers": 1}),
        ("ring 555 0143", {}),
        ("take 12 eggs", {}),
        ("write to Jo.B@example.org!", {"emails": 1}),
        ("go to www.larks.example.com/win?x=1.", {"links": 1}),
        ("nothing of it", {}),
    ],
)
def test_shared_items_are_counted_by_kind(text: str, counts: dict[str, int]) -> None:
    assert shared(FormDetector().find(TEXTS), text) == counts


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("12", set()),
        ("in 1984.", {"1984"}),
        ("1,234.50", {"123450"}),
        ("a1b22c333", {"333"}),
        ("(020) 77", {"020", "02077"}),
    ],
)
def test_numbers_are_compared_as_digits(text: str, numbers: set[str]) -> None:
    assert numbers_in(text) == numbers


@dataclass
class Result:
    entity_type: str
    start: int
    end: int


class Analyzer:
    def analyze(self, text: str, language: str) -> list[Any]:
        assert language == "en"
        return [Result("PERSON", 0, 4), Result("LOCATION", 8, 12)]


def test_presidio_takes_the_place_of_forms() -> None:
    found = PresidioDetector(Analyzer()).find(["mira in Oslo, 4711"])
    assert found.names == {"mira"}
    assert found.numbers == {"4711"}


def test_a_detector_that_is_not_installed_is_named() -> None:
    try:
        import presidio_analyzer  # noqa: F401
    except ImportError:
        with pytest.raises(ConfigError, match=r"social-learning\[presidio\]"):
            detector("presidio")
    assert isinstance(detector("own"), FormDetector)
