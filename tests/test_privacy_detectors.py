"""Detectors: names, numbers, e-mail addresses and links, found by form."""

import re
from dataclasses import dataclass
from typing import Any

import pytest

from social_learning.errors import ConfigError
from social_learning.privacy.detectors import (
    KINDS,
    FormDetector,
    PresidioDetector,
    detector,
    is_common,
    numbers_in,
    shared,
)
from social_learning.privacy.links import host_of, links_in

TEXTS = [
    "Hi Mira, it is Mira's turn. Bring the dog to Larkhaven, mr smith waits. Will you?",
    "Call 0800 555-0142 or mail jo.b@example.org. See https://www.larks.example.com/win?x=1 soon. I will.",
]


def test_items_are_found_by_their_form() -> None:
    found = FormDetector().find(TEXTS)
    assert found.names == {"mira", "larkhaven", "smith"}  # "Will" stands at a beginning, and in lower case elsewhere
    assert found.numbers == {"08005550142", "005550142", "0800", "5550142", "555", "0142"}
    assert found.emails == {"jo.b@example.org"}
    assert found.links == {"larks.example.com"}
    assert "mira" not in repr(found)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("then McKay came", {"mckay"}),
        ("with O'Brien and Anne-Marie", {"o'brien", "anne-marie", "anne", "marie"}),
        ("ask dr jean-luc", {"jean-luc", "jean", "luc"}),
        ("say OK to NASA", set()),
    ],
)
def test_names_may_have_capitals_and_hyphens_inside(text: str, names: set[str]) -> None:
    assert FormDetector().find([text]).names == names


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("MIRA went home", {"names": 1}),
        ("Miranda went home", {}),
        ("ring 08005550142 now", {"numbers": 2}),  # whole, and its last nine
        ("ring 555 0142", {"numbers": 3}),  # whole, and each part
        ("ring 555 0143", {"numbers": 1}),
        ("ring 556 0143", {}),
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
        ("1,234.50", {"123450", "1234"}),
        ("2,000,000", {"2000000"}),
        ("4420-1", {"44201", "4420"}),
        ("4420/5511", {"44205511", "4420", "5511"}),
        ("(4420,99)", {"442099", "4420"}),
        ("4420,551", {"4420551", "4420", "551"}),
        ("4420.50", {"442050", "4420"}),
        ("1-4420", {"14420", "4420"}),
        ("４４２０", {"4420"}),
        ("٤٤٢٠", {"4420"}),
        ("a1b22c333", {"333"}),
        ("(020) 77", {"020", "02077"}),
        ("+44 7911 555 0142", {"4479115550142", "115550142", "7911", "555", "0142"}),
        ("07911\u2013555\u00a00142", {"079115550142", "115550142", "07911555", "07911", "555", "0142"}),
    ],
)
def test_numbers_are_compared_as_digits(text: str, numbers: set[str]) -> None:
    assert numbers_in(text) == numbers


@pytest.mark.parametrize("number", ["150", "2500", "1000000", "100", "1987", "2024"])
def test_round_numbers_and_years_are_common(number: str) -> None:
    assert is_common(number)


@pytest.mark.parametrize("number", ["151", "0800", "1850", "2101", "10001", "19870"])
def test_other_numbers_are_telling(number: str) -> None:
    assert not is_common(number)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("enter PIN at wap.example/tones and win", ["wap.example"]),
        ("Login: nimbuscoin.example", ["nimbuscoin.example"]),
        ("go to flyhoppit.example. Taxes extra", ["flyhoppit.example"]),
        ("see https://www.Larks.co.uk:8080/a?b=1#c, or (larks.fr)!", ["larks.co.uk", "larks.fr"]),
        ("T&C www.07781482378.com", ["07781482378.com"]),
        ("WWW.SMS.ac/u/nat2708 and WAY2SMS.COM", ["sms.ac", "way2sms.com"]),
        ("bit.ly/x7 and youtu.be/x7 and münchen.de", ["bit.ly", "youtu.be", "münchen.de"]),
        ("http://10.0.0.1/x and http://user:word@intern/x", ["10.0.0.1", "intern"]),
        ("e.g. this, i.e. that, at 7.30 p.m. or 9.pm in the U.S. with Node.js", []),
        ("That is the end.Start again. Old news.By the way, ok.so what, he is in.", []),
        ("jo.b@larks.com is no link, nor is 3.14 or v1.2.3 or co.uk", []),
    ],
)
def test_links_are_known_by_their_endings(text: str, hosts: list[str]) -> None:
    assert [host_of(match[0]) for match in links_in(re.sub(r"\S+@larks\S+", " ", text))] == hosts
    assert FormDetector().find([text]).links == set(hosts)


def test_another_page_of_a_site_is_the_same_link_and_another_site_is_none() -> None:
    found = FormDetector().find(["claim it at prizeport.example/u7k2"])
    assert shared(found, "see prizeport.example/u7k3") == {"links": 1}
    assert shared(found, "see my-prizeport.example/u7k2") == {}


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


class Marker:
    """Finds the given items, as Presidio tells of them: by kind and place."""

    def __init__(self, **items: str) -> None:
        self.items = items

    def analyze(self, text: str, language: str) -> list[Any]:
        assert language == "en"
        places = [(kind, text.find(item), len(item)) for kind, item in self.items.items()]
        return [Result(kind, start, start + length) for kind, start, length in places if start >= 0]


@pytest.mark.parametrize(
    ("kind", "item", "text"),
    [
        ("PERSON", "J. Smith", "ask J. Smith about it"),
        ("PERSON", "Anna-Marie O.", "then Anna-Marie O. came"),
        ("PERSON", "Mira's", "it is Mira's turn"),
        ("PERSON", "Mira’s", "it is Mira’s turn"),
        ("PERSON", "Mira's dog Bo", "with Mira's dog Bo"),
        ("PERSON", "Dr. Jo Olsen", "(Dr. Jo Olsen)"),
        ("PERSON", "Mira", "and Mira-Lou left"),  # ends inside a word of ours
        ("PERSON", "X", "then X left"),
        ("PERSON", "?!", "what ?! is"),
        ("URL", "https://www.x.com/", "see https://www.x.com/ now"),
        ("URL", "www.x.com", "see https://www.x.com/win?a=1."),
        ("URL", "larks.fr/win", "see larks.fr/win!"),
        ("EMAIL_ADDRESS", "Jo.B@example.org", "write to Jo.B@example.org!"),
        ("PHONE_NUMBER", "0800 555-0142", "ring 0800 555-0142 now"),
    ],
)
def test_whatever_presidio_finds_in_a_text_is_counted_in_that_text(kind: str, item: str, text: str) -> None:
    found = PresidioDetector(Marker(**{kind: item})).find([text])
    counts = {kind: len(getattr(found, kind)) for kind in KINDS}
    assert shared(found, text) == {kind: count for kind, count in counts.items() if count}
    assert bool(sum(counts.values())) == (item != "?!")


def test_a_full_name_is_counted_by_its_parts_and_a_link_in_other_forms() -> None:
    found = PresidioDetector(Marker(PERSON="Dr. J. Olsen", URL="https://www.x.com/")).find(
        ["Dr. J. Olsen, https://www.x.com/"]
    )
    assert found.names == {"dr j olsen", "olsen"}
    assert shared(found, "OLSEN's turn") == {"names": 1}
    assert shared(found, "Dr. Jay has the letter j") == {}
    assert shared(found, "go to x.com") == {"links": 1}
    assert shared(found, "go to max.com") == {}


def test_the_real_presidio_finds_and_is_counted() -> None:
    pytest.importorskip("presidio_analyzer")
    spacy = pytest.importorskip("spacy")
    if not spacy.util.is_package("en_core_web_lg"):
        pytest.skip("Presidio's default language model is not installed")
    text = "Mira Olsen waits in Oslo. Write to jo.b@example.org or see https://www.larks.example.com/win?x=1 today."
    found = PresidioDetector().find([text])
    assert "jo.b@example.org" in found.emails
    assert "larks.example.com/win?x=1" in found.links
    counts = {kind: len(getattr(found, kind)) for kind in KINDS}
    assert shared(found, text) == {kind: count for kind, count in counts.items() if count}


def test_a_detector_that_is_not_installed_is_named() -> None:
    try:
        import presidio_analyzer  # noqa: F401
    except ImportError:
        with pytest.raises(ConfigError, match=r"social-learning\[presidio\]"):
            detector("presidio")
    assert isinstance(detector("own"), FormDetector)
