"""The report: what it says, that it shows hostile text without harm, and that it needs nothing but itself."""

import itertools
import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from social_learning.config import parse_experiment
from social_learning.errors import RunFolderError
from social_learning.experiment import run
from social_learning.experiment_file import as_toml, settings_as_toml
from social_learning.lesson import Lesson
from social_learning.models.base import Usage
from social_learning.report import load_result, numbers, show_result, write_report
from social_learning.report.leaving import LONGEST, SHOWN, TEACHERS, ArmLog
from social_learning.report.visible import is_hidden, marked, visible
from social_learning.results import ArmResult, Result
from social_learning.statistics import Paired
from social_learning.task import Example

GOLDEN = Path(__file__).parent / "golden"
SMALL: dict[str, Any] = {
    "name": "small",
    "task": "phone_messages",
    "repeats": 2,
    "shots": [4],
    "data": {"test_rows": 20},
    "arms": ["zero-shot", "manual", "original", "generated", "voted", "instruction"],
    "teachers": {"model": "fake:mixer", "count": 3},
    "student": {"model": "fake:mixer"},
}
HOSTILE = (
    '<script>alert(1)</script><img src="https://evil.example/x.png" onerror="alert(2)"></pre></style></details>'
    "{{ 7 * 7 }}{% raw %}<!-- ]]> &lt;b&gt; \u202egnihsihp\u202c zero\u200bwidth "
    "\x00\x1b[31m\ufeff tag\U000e0041 \u2066"
)


NONE = {"unparsed": 0, "refused": 0, "missing": 0, "over_budget": 0}


def against(points: float, half: float, p: float, permutation: float) -> dict[str, Any]:
    """A comparison by so many points, plus and minus half an interval."""
    difference, half = points / 100, half / 100
    pair = Paired(difference, 5, 500, half / 2, difference - half, difference + half, p)
    return {"paired": pair, "p_holm": p, "permutation_p": permutation}


def arm(name: str, shots: int, accuracy: float, stderr: float | None, **other: Any) -> ArmResult:
    """An arm with five repeats where it has a standard error, at 500 test rows."""
    repeats = 1 if stderr is None else 5
    values: dict[str, Any] = {
        "name": name,
        "task": "sms_spam",
        "shots": shots,
        "accuracy": accuracy,
        "stderr": stderr,
        "repeats": repeats,
        "test_rows": 500,
        "failures": NONE,
        "readable_accuracy": accuracy,
        "paired": None,
        "p_holm": None,
        "permutation_p": None,
        "accuracies": tuple(accuracy + 0.01 * turn for turn in range(-(repeats // 2), repeats // 2 + 1)),
        "teaching": Usage(1200, 340_000, 56_000, 7),
        "answering": Usage(1000, 210_000, 0, 0),
        "teaching_seconds": 61.25,
        "answering_seconds": 3.5,
    }
    return ArmResult(**(values | other))


RESULT = Result(
    run="runs/small-1234abcd",
    experiment="small",
    task="phone_messages",
    compared_with="zero-shot",
    arms=(
        arm("zero-shot", 0, 0.525, None),
        arm("manual", 0, 0.525, None, **against(0.0, 3.0, 1.0, 1.0)),
        arm("original", 4, 0.9648, 0.0017, **against(43.98, 2.12, 0.0001, 0.00001)),
        arm(
            "generated",
            4,
            0.8416,
            0.0118,
            failures={**NONE, "unparsed": 12},
            readable_accuracy=0.8457,
            **against(31.66, 30.1, 0.032, 0.004),
        ),
        arm("voted", 4, 0.5, 0.0988, **against(-2.5, 27.43, 0.71, 0.083)),
        arm("instruction", 0, 0.9, 0.0004, **against(37.5, 1.1, 0.0009, 0.0002)),
    ),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Result]]:
    """The folder and the result of a small run on fakes; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("run") / "small"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        result = run(parse_experiment(SMALL), folder)
        yield folder, result


@pytest.fixture
def folder(finished: tuple[Path, Result], tmp_path: Path) -> Path:
    """A copy of the run's folder."""
    return Path(shutil.copytree(finished[0], tmp_path / "small"))


class Document(HTMLParser):
    """A parsed page: its elements with attributes in order, its text, and whether every element is closed in order."""

    VOID = ("meta", "link", "br", "hr", "img", "input")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self._texts: list[str] = []
        self._stack: list[str] = []
        self.feed(page)
        self.close()
        assert not self._stack

    def handle_starttag(self, tag: str, attributes: Sequence[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in self.VOID:
            self._stack.append(tag)

    def handle_startendtag(self, tag: str, attributes: Sequence[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))

    def handle_endtag(self, tag: str) -> None:
        assert self._stack.pop() == tag
        if tag in ("p", "li", "dd", "tr", "h1", "h2", "h3", "summary", "pre", "text", "figcaption", "title", "desc"):
            self._texts.append("\n")
        if tag in ("td", "th", "dt"):
            self._texts.append(" | ")

    def handle_data(self, data: str) -> None:
        if self._stack and self._stack[-1] != "style":
            self._texts.append(data)

    @property
    def text(self) -> str:
        """The text, line by line, without blank lines."""
        lines = (re.sub(r"[ \t]+", " ", line).strip() for line in "".join(self._texts).split("\n"))
        return "\n".join(line for line in lines if line)

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element of one kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def page(folder: Path, result: Result | None = None) -> str:
    return write_report(folder, result or load_result(folder)).read_text(encoding="utf-8")


def golden(name: str, text: str) -> None:
    """Compare with a golden file; UPDATE_GOLDEN=1 writes it."""
    file = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def table(result: Result, width: int = 80) -> str:
    stream = StringIO()
    show_result(result, Console(width=width, file=stream, color_system=None))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


# The terminal


def test_the_terminal_table() -> None:
    golden("report_terminal.txt", table(RESULT))


def test_the_terminal_table_says_nothing_of_unread_answers_where_there_are_none() -> None:
    arms = tuple(replace(arm, failures=NONE) for arm in RESULT.arms)
    golden("report_terminal_parsed.txt", table(replace(RESULT, arms=arms)))


@pytest.mark.parametrize("width", [40, 60, 80])
def test_no_figure_is_cut(width: int) -> None:
    wide = arm(
        "generated-label-first-top-p-0.95",
        1024,
        1.0,
        0.1,
        test_rows=10_000,
        failures={**NONE, "unparsed": 12_345, "refused": 1},
        **against(47.5, 12.0, 0.0499, 0.0499),
    )
    shown = table(replace(RESULT, arms=(*RESULT.arms, wide), run="runs/" + "long" * 30), width)
    lines = shown.splitlines()
    assert max(map(len, lines[:-1])) <= width
    assert lines[-1] == f"Report: {Path('runs/' + 'long' * 30) / 'report.html'}"
    for figure in (
        "1024",
        "100.0 (10.0)",
        "+47.5 \N{PLUS-MINUS SIGN} 12.0",
        "0.050*",
        "12,345",
        "10,000 \N{MULTIPLICATION SIGN} 5",
        "<0.001*",
    ):
        assert figure in shown


def test_names_are_no_markup_in_the_terminal() -> None:
    assert "[red]\u27e6U+202E\u27e7[/]" in table(replace(RESULT, experiment="[red]\u202e[/]"))


# Numbers


@pytest.mark.parametrize(
    ("p", "shown"),
    [(None, ""), (0.0001, "<0.001*"), (0.001, "0.001*"), (0.0321, "0.032*"), (0.05, "0.050"), (1.0, "1.000")],
)
def test_p_values(p: float | None, shown: str) -> None:
    assert numbers.p_value(p, p is not None and p < 0.05) == shown


@pytest.mark.parametrize(("difference", "shown"), [(0.3166, "+31.7"), (-0.025, "-2.5"), (-0.0001, "0.0"), (0.0, "0.0")])
def test_differences(difference: float, shown: str) -> None:
    assert numbers.points(Paired(difference, 5, 100)) == shown
    assert numbers.margin(Paired(difference, 1, 100)) == shown
    assert numbers.interval(Paired(difference, 1, 100)) == ""


def test_the_margin_of_an_interval_that_was_cut_is_the_longer_side() -> None:
    assert numbers.margin(Paired(0.98, 2, 100, 0.02, 0.8, 1.0, 0.01)) == "+98.0 \N{PLUS-MINUS SIGN} 18.0"


def test_a_star_stands_where_the_corrected_p_is_small() -> None:
    assert arm("x", 0, 0.5, None, p_holm=0.049, paired=Paired(0.1, 5, 100, p_value=0.01)).significant
    assert not arm("x", 0, 0.5, None, p_holm=0.051, paired=Paired(0.1, 5, 100, p_value=0.01)).significant
    assert not arm("x", 0, 0.5, None, permutation_p=0.001).significant


def test_stand_ins_get_neither_stars_nor_points() -> None:
    arms = tuple(replace(arm, paired=None, p_holm=None, permutation_p=None) for arm in RESULT.arms)
    shown = table(replace(RESULT, arms=arms, stand_in=True))
    assert "knows no language" in shown
    assert "points" not in shown
    assert "*" not in shown


def test_an_arm_is_compared_with_the_same_shots_where_there_are_any() -> None:
    one, four = arm("original", 1, 0.6, 0.1), arm("original", 4, 0.9, 0.1)
    others = (arm("generated", 4, 0.8, 0.1), arm("generated", 16, 0.8, 0.1))
    result = replace(RESULT, compared_with="original", arms=(one, four, *others))
    assert [numbers.against(result, arm) for arm in result.arms] == [None, None, four, one]


# Loading


def test_loading_gives_the_result_of_the_run(finished: tuple[Path, Result]) -> None:
    assert load_result(finished[0]) == finished[1]


def test_loading_refuses_what_is_no_finished_run(folder: Path) -> None:
    (folder / "cells" / "voted-n4-r1" / "cell.json").unlink()
    with pytest.raises(RunFolderError, match=r"small holds no finished run: 1 of 10 cells are missing, .* voted-n4-r1"):
        load_result(folder)
    (folder / "run.json").unlink()
    with pytest.raises(RunFolderError, match="holds no finished run: there is no run"):
        load_result(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"key": 1, "outcomes": "c"}'])
def test_loading_names_a_damaged_cell(folder: Path, text: str) -> None:
    (folder / "cells" / "manual-r0" / "cell.json").write_text(text)
    with pytest.raises(RunFolderError, match=r"manual-r0/cell.json is damaged"):
        load_result(folder)


@pytest.mark.parametrize("change", [{"format": 99}, {"experiment": None}, {"experiment": {"name": "x", "tusk": 1}}])
def test_loading_refuses_settings_it_does_not_understand(folder: Path, change: Mapping[str, Any]) -> None:
    settings = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**settings, **change}))
    with pytest.raises(RunFolderError, match=r"run\.json"):
        load_result(folder)


# The page


def test_the_page_in_words(folder: Path) -> None:
    """Header and results of a result made by hand; the other sections depend on versions and on the fakes."""
    text = Document(page(folder, RESULT)).text
    text = text[: text.index("The lesson, as the student reads it")]
    before, _, rest = text.partition("What came nearest to private text")
    golden("report_page.txt", before + rest[rest.index("Taught nothing") :] + "\n")


def test_the_page_is_sound_html(folder: Path) -> None:
    document = Document(page(folder))
    assert document.elements[0] == ("html", {"lang": "en"})
    levels = [int(tag[1]) for tag, _ in document.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all("scope" in attributes for attributes in document.all("th"))
    ids = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = " ".join(attributes.get("aria-labelledby", "") for _, attributes in document.elements).split()
    assert {*named, *(attributes["href"][1:] for attributes in document.all("a"))} <= set(ids)
    assert len(document.all("svg")) == 1 + 4  # accuracy, and the distances of each arm that let something out
    assert all(plot["role"] == "img" for plot in document.all("svg"))


def test_the_page_holds_each_teacher_against_all_controls(folder: Path) -> None:
    text = page(folder)
    table = text.partition('aria-label="generated, 4 shots: closeness by teacher"')[2].partition("</table>")[0]
    lines = re.findall(r"<th[^>]*>(.*?)</th><td[^>]*>(.*?)</td>", table)
    teachers = list(dict.fromkeys(name for name, _ in lines))
    assert len(teachers) > 1
    assert lines == [(name, group) for name in teachers for group in ("left", "verbatim", "near", "public")]


def test_the_page_needs_nothing_but_itself(folder: Path) -> None:
    document = Document(page(folder))
    assert_harmless(document)
    [policy] = [a["content"] for a in document.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")


def test_the_plot_shows_every_arm_with_its_repeats(folder: Path) -> None:
    document = Document(page(folder, RESULT))
    circles = document.all("circle")
    means = [float(circle["cx"].rstrip("%")) for circle in circles if circle["class"] == "mean"]
    assert means == [52.5, 52.5, 96.48, 84.16, 50.0, 90.0]
    assert len([circle for circle in circles if circle["class"] == "one"]) == 4 * 5
    assert len([line for line in document.all("line") if line["class"] == "bar"]) == 4 * 3
    assert {line["x1"] for line in document.all("line") if line["class"] == "reference"} == {"52.5%"}


def test_lessons_are_shown_as_the_student_reads_them(folder: Path) -> None:
    text = Document(page(folder)).text
    for name in ("generated-n4-r0", "voted-n4-r0", "instruction-r0", "manual-r0"):
        lesson = Lesson.load(folder / "cells" / name)
        assert words(lesson.prompt({"text": "…"})) in words(text)
        assert all(f"{source.teacher}, round {source.round}" in text for source in lesson.sources)
    assert "withheld: private examples word for word (set privacy.record_originals to see them)" in text


def test_originals_are_shown_with_a_warning_where_they_were_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    recorded = {**SMALL, "arms": ["zero-shot", "original"], "repeats": 1, "privacy": {"record_originals": True}}
    run(parse_experiment(recorded), tmp_path / "run")
    text = Document((tmp_path / "run" / "report.html").read_text()).text
    assert "These are private examples, word for word. Do not pass this report on." in text
    assert words(Lesson.load(tmp_path / "run" / "cells" / "original-n4-r0").prompt({"text": "…"})) in words(text)


def test_by_default_no_private_example_is_in_the_page(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    recorded = {**SMALL, "arms": ["zero-shot", "original"], "repeats": 1, "privacy": {"record_originals": True}}
    run(parse_experiment(recorded), tmp_path / "run")
    private = [e.fields["text"] for e in Lesson.load(tmp_path / "run" / "cells" / "original-n4-r0").examples]
    text = Document(page(folder)).text
    assert private
    assert not any(words(message) in words(text) for message in private)
    assert "4 private examples, word for word: withheld here" in text


def test_what_left_is_counted_whole_and_shown_in_part(folder: Path) -> None:
    log = folder / "cells" / "voted-n4-r0" / "messages.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines) * 10)
    later = (folder / "cells" / "voted-n4-r1" / "messages.jsonl").read_text().splitlines()
    document = Document(page(folder))
    total = 10 * len(lines) + len(later)
    size = sum(json.loads(line)["bytes"] for line in lines) * 10 + sum(json.loads(line)["bytes"] for line in later)
    assert f"voted {total} messages, {size:,} bytes" in document.text
    assert f"{10 * len(lines) - SHOWN} more messages in cells/voted-n4-r0/messages.jsonl." in document.text
    assert f"{len(later)} messages in cells/voted-n4-r1/messages.jsonl." in document.text
    assert "votes for candidate" in document.text
    assert "Nothing left a silo for zero-shot, manual: no teacher was asked." in document.text


def test_of_very_many_teachers_those_that_sent_most_are_named() -> None:
    log = ArmLog("generated")
    log.bytes.update({f"teacher-{number}": number for number in range(1, 3 * TEACHERS)})
    assert log.largest[0] == (f"teacher-{3 * TEACHERS - 1}", 3 * TEACHERS - 1)
    assert len(log.largest) == TEACHERS


def test_damaged_and_missing_logs_and_lessons_are_told(folder: Path) -> None:
    cells = folder / "cells"
    log = cells / "generated-n4-r0" / "messages.jsonl"
    sound = len(log.read_text().splitlines())
    with log.open("a") as stream:
        stream.write('{"bytes": 7}\n[1]\nnot json\n')
    (cells / "generated-n4-r1" / "messages.jsonl").unlink()
    (cells / "voted-n4-r0" / "lesson.json").write_text("{}")
    (cells / "instruction-r0" / "lesson.json").unlink()
    text = words(Document(page(folder)).text)
    damaged = ", ".join(str(sound + number) for number in (1, 2, 3))
    assert f"damaged: lines {damaged} of cells/generated-n4-r0/messages.jsonl" in text
    assert "cells/generated-n4-r1/messages.jsonl is missing." in text
    assert "is not a lesson" in text
    assert "cells/instruction-r0/lesson.json is missing" in text


def test_a_report_replaces_the_last_one_whole(folder: Path) -> None:
    first = page(folder)
    assert page(folder) == first
    assert not list(folder.glob(".report*"))
    (folder / "report.html").unlink()
    (folder / "report.html").mkdir()
    with pytest.raises(RunFolderError, match=r"cannot write .*report\.html"):
        write_report(folder, RESULT)


# Hostile text


def with_hostile_text(folder: Path) -> None:
    """Put HOSTILE, and a text of 100 kB, wherever a model or a stranger may have written something."""
    cell = folder / "cells" / "generated-n4-r0"
    lesson = Lesson.load(cell)
    examples = [
        {"fields": {"text": HOSTILE + "x" * 100_000}, "answer": "spam"},
        {"fields": {HOSTILE: "odd"}, "answer": ""},
    ]
    change = lesson.model_copy(
        update={"instruction": HOSTILE, "examples": (Example.model_validate(examples[0]), *lesson.examples[1:])}
    )
    (cell / "lesson.json").write_text(change.to_json(), encoding="utf-8")
    lines = [json.loads(line) for line in (cell / "messages.jsonl").read_text().splitlines()]
    lines[0]["reply"].update(
        teacher=HOSTILE,
        examples=examples,
        discarded={HOSTILE: 3},
        guards=[{"guard": HOSTILE, "passed": 1, "mended": 2, "dropped": 3}],
    )
    (cell / "messages.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    settings = json.loads((folder / "run.json").read_text())
    settings["versions"][HOSTILE] = HOSTILE
    settings["data"]["source"] = HOSTILE
    settings["experiment"]["data"]["root"] = HOSTILE
    (folder / "run.json").write_text(json.dumps(settings), encoding="utf-8")


def assert_harmless(document: Document) -> None:
    """Nothing runs, nothing is fetched, nothing leads away."""
    assert not {"script", "img", "iframe", "object", "embed", "link", "base", "form", "input"} & {
        tag for tag, _ in document.elements
    }
    for _, attributes in document.elements:
        assert not any(name.startswith("on") or name in ("src", "srcset", "style", "xlink:href") for name in attributes)
        assert attributes.get("href", "#").startswith("#")


def test_hostile_text_is_shown_and_does_nothing(folder: Path) -> None:
    with_hostile_text(folder)
    written = page(folder)
    document = Document(written)
    assert_harmless(document)
    assert not any(is_hidden(character) for character in written)
    assert document.text.count("<script>alert(1)</script>") >= 10
    assert "{{ 7 * 7 }}" in document.text
    assert "\u27e6U+202E\u27e7gnihsihp\u27e6U+202C\u27e7 zero\u27e6U+200B\u27e7width" in document.text
    assert "x" * 100_000 not in document.text
    assert "more characters]" in document.text
    assert max(map(len, document.text.splitlines())) < 70_000
    assert document.text.count("x" * (LONGEST // 2)) >= 2


def test_a_typed_mark_differs_from_a_real_one() -> None:
    assert marked("\u27e6U+202E\u27e7\u202e") == '\u27e6U+202E\u27e7<span class="mark">\u27e6U+202E\u27e7</span>'


@given(st.text())
def test_visible_text_hides_nothing(text: str) -> None:
    shown = visible(text)
    assert not any(is_hidden(character) for character in shown)
    assert shown.encode().decode() == shown
    assert marked(text).striptags() == marked(shown).striptags()
    if not any(map(is_hidden, text)):
        assert shown == text


# Settings


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"arms": {"zero-shot": {}, "few-and-far": {"method": "generated", "teachers": {"count": 2}, "shots": [1]}}},
        {
            "task": {"name": "own", "template": 'Q: "{q}"\nA: {answer}', "labels": ["a", "b"], "metric": "labels"},
            "data": {"train": "é.csv", "columns": {"q": "the question"}},
        },
    ],
)
def test_settings_are_an_experiment_file_that_gives_the_same_experiment(change: Mapping[str, Any]) -> None:
    experiment = parse_experiment({**SMALL, **change})
    again = parse_experiment(tomllib.loads(settings_as_toml(experiment.model_dump(mode="json"))))
    assert again.fingerprint == experiment.fingerprint


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_can_be_a_setting(key: str, value: str) -> None:
    settings = {key: value, "table" + key: {key: [value, 1, 0.5, True]}}
    assert tomllib.loads(as_toml(settings)) == settings


def words(text: str) -> str:
    """The text with every run of blanks and line breaks as one blank."""
    return " ".join(text.split())
