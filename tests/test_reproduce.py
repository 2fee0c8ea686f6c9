"""Reproducing the paper's tables: shared work is done once, kills lose nothing, and ours stands beside the paper's."""

import csv
import gzip
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoints.loopback import Handler, Loopback
from social_learning.errors import BudgetError, ConfigError, DataError, ModelError
from social_learning.evaluation import Evaluation, Outcome
from social_learning.models.base import Completion, LanguageModel, Prompt, Sampling, Score, Usage
from social_learning.models.endpoint.budget import Limits, Purse
from social_learning.models.fakes import CopycatModel, MixerModel
from social_learning.privacy.paper import DISTANCE, FIRSTS, MEAN_RANK
from social_learning.provenance import Took, peak_memory
from social_learning.report import load_result
from social_learning.reproduce import TABLES, Request, forecast, reproduce
from social_learning.reproduce.compare import view_of
from social_learning.reproduce.paper import ACCURACY, TASKS, PaperFigure
from social_learning.reproduce.plan import default_root, parts_of
from social_learning.reproduce.write import markdown
from social_learning.results import Cell, CellKey
from tests.endpoint_mixer import MixingPretender

NOTED = ("zero-shot, format note", 0)
SMALL = ("shots=[2]", "teachers.count=3", "generation.shots=3", "generation.samples=3", "instruction.shots=2")

UNGUARDED = ("teachers.no_copies=false", "teachers.min_distance=0.0", "teachers.no_shared_numbers=false")


def request(*tables: str, **changes: Any) -> Request:
    settings: dict[str, Any] = {
        "model": "fake:mixer",
        "tasks": ("phone_messages",),
        "test_rows": 8,
        "repeats": 2,
        "trials": 2,
        "references": 19,
        "canaries": ("codes",),
        "overrides": SMALL,
    }
    return Request(tables, **(settings | changes))


class Killed(BaseException):
    """What a kill looks like from inside."""


class Counting:
    """A model that notes what really reaches it, and can be killed at the n-th call."""

    def __init__(self, inner: LanguageModel, die_at: int | None = None) -> None:
        self.inner, self.die_at, self.calls = inner, die_at, 0
        self.asked: list[object] = []
        self.kinds: Counter[str] = Counter()
        self.name = self.identity = inner.name
        self.context_length = inner.context_length

    def count_tokens(self, text: str) -> int:
        return self.inner.count_tokens(text)

    def _call(self, kind: str, asked: Sequence[object]) -> None:
        self.calls += 1
        if self.calls == self.die_at:
            raise Killed
        self.asked.extend(asked)
        self.kinds[kind] += len(asked)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        self._call("sampled" if sampling.temperature else "greedy", [(prompt, sampling) for prompt in prompts])
        return self.inner.generate(prompts, sampling, samples)

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        self._call("scored", list(pairs))
        return self.inner.score(pairs)


def loads(*models: LanguageModel) -> Callable[..., LanguageModel]:
    by_name = {model.name: model for model in models}
    return lambda name, **_: by_name[name]


def no_model(name: str, **_: Any) -> LanguageModel:
    raise AssertionError(f"{name} was loaded")


def tables_below(root: Path) -> dict[str, Any]:
    tables = {path.name: json.loads(path.read_text()) for path in root.glob("table*.json")}
    return {name: table["rows"] for name, table in tables.items()}


def test_the_papers_figures_are_all_there() -> None:
    whole = {name: {key: row for key, row in rows.items() if key != NOTED} for name, rows in ACCURACY.items()}
    assert all(tuple(row) == TASKS for rows in whole.values() for row in rows.values())
    assert ACCURACY["table1"][NOTED] == {"gsm8k": PaperFigure(16.38)}
    assert ACCURACY["table1"]["generated", 8]["boolq"] == PaperFigure(88.73, 0.88, True)
    assert ACCURACY["table1"]["original", 1]["sms_spam"] == PaperFigure(59.10, 7.62)
    assert ACCURACY["table2"]["GPT-3.5 instruction", 0]["gsm8k"] == PaperFigure(4.11, 2.27)
    assert ACCURACY["table10"]["generated", 16]["random_insertion"] == PaperFigure(61.76)
    assert ACCURACY["table12"]["voted", 2]["lambada"] == PaperFigure(87.87)
    assert {len(whole["table1"]), len(ACCURACY["table12"]) + 1, len(ACCURACY["table10"])} == {11}
    for name, rows in ACCURACY.items():
        assert {line.paper for line in TABLES[name].lines} == {line for line, _ in rows}
    assert len(DISTANCE) == 30
    assert len(MEAN_RANK) == len(FIRSTS) == 4


def test_tables_share_cells_and_calls(tmp_path: Path) -> None:
    first = Counting(MixerModel("fake:mixer"))
    outcome = reproduce(request("table1"), tmp_path / "root", load=loads(first))
    assert [view.table.name for view in outcome.views] == ["table1"]
    # Table 6 needs nothing that Table 1 did not make; Table 12 needs the votes alone.
    reproduce(request("table6"), tmp_path / "root", load=no_model)
    second = Counting(MixerModel("fake:mixer"))
    reproduce(request("table12", "table2"), tmp_path / "root", load=loads(second))
    assert not set(first.asked) & set(second.asked) - _alike(first, second)
    cells = {path.parent.name for path in (tmp_path / "root").rglob("cell.json")}
    assert {name.partition("-n")[0] for name in cells if "-n" in name} == {
        "original", "generated", "generated-paper", "voted", "voted-paper",
    }  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "root").glob("table*.md")) == [
        "table1.md", "table12.md", "table2.md", "table6.md",
    ]  # fmt: skip
    page = (tmp_path / "root" / "reproduce.html").read_text()
    assert all(f'id="{name}"' in page for name in ("table1", "table2", "table6", "table12"))


def _alike(first: Counting, second: Counting) -> set[object]:
    """Calls that two users make alike: every teacher, and the student, has a cache of its own."""
    return {call for call, times in Counter(first.asked + second.asked).items() if times > 1}


def test_one_command_for_all_does_what_single_ones_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = ("table1", "table2", "table6")
    single, whole = Counting(MixerModel("fake:mixer")), Counting(MixerModel("fake:mixer"))
    for table in reversed(tables):
        reproduce(request(table), tmp_path / "single", load=loads(single))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other-cache"))
    reproduce(request(*tables), tmp_path / "whole", load=loads(whole))
    assert Counter(single.asked) == Counter(whole.asked)
    assert tables_below(tmp_path / "single") == tables_below(tmp_path / "whole")


@pytest.mark.parametrize("die_at", [1, 6])
def test_a_killed_command_goes_on_and_repeats_no_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, die_at: int
) -> None:
    asked = request("table1", "table3", recipes=("default",), repeats=1)
    whole = Counting(MixerModel("fake:mixer"))
    reproduce(asked, tmp_path / "whole", load=loads(whole))
    assert whole.calls > die_at

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "killed-cache"))
    first, second = Counting(MixerModel("fake:mixer"), die_at), Counting(MixerModel("fake:mixer"))
    with pytest.raises(Killed):
        reproduce(asked, tmp_path / "killed", load=loads(first))
    reproduce(asked, tmp_path / "killed", load=loads(second))
    assert tables_below(tmp_path / "killed") == tables_below(tmp_path / "whole")
    probes = Counter(call for call in second.asked if "umbrella" in str(call))  # does it score at all? asked anew
    assert Counter(first.asked) + Counter(second.asked) - probes <= Counter(whole.asked)
    reproduce(asked, tmp_path / "killed", load=no_model)


def test_tables_3_and_4_are_one_audit(tmp_path: Path) -> None:
    model = Counting(MixerModel("fake:mixer"))
    ranks = reproduce(request("table3"), tmp_path / "root", load=loads(model)).views[0].rows
    firsts = reproduce(request("table4"), tmp_path / "root", load=no_model).views[0].rows
    assert [row.line.label for row in ranks] == ["generated", "generated-paper", "control: verbatim"]
    assert [row.line.label for row in firsts] == [row.line.label for row in ranks]
    assert all(row.ours is not None and row.ours.repeats == 2 for row in (*ranks, *firsts))
    control = ranks[-1].ours
    assert control is not None
    assert control.value <= 0.05 * 19
    assert (tmp_path / "root" / "phone_messages" / "audits" / "codes-20" / "audit.json").exists()
    assert not list((tmp_path / "root").rglob("cell.json"))


def test_progress_counts_cells_and_trials_through(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    asked = request("table1", "table3", recipes=("default",), repeats=1, trials=3)
    reproduce(asked, tmp_path / "root", load=loads(MixerModel("fake:mixer")), watch=Telling(told))
    cells = [(done, total) for what, done, total in told if what == "cells"]
    assert cells == [(done, 9) for done in (0, 1, 2, 3, 6, 9)]  # three cells, then the control's trials and the arm's
    told.clear()
    more = replace(asked, trials=4)
    reproduce(more, tmp_path / "root", load=loads(MixerModel("fake:mixer")), watch=Telling(told))
    assert [(done, total) for what, done, total in told if what == "cells"] == [(9, 11), (10, 11), (11, 11)]


def test_an_audit_without_power_is_told_and_the_other_tables_go_on(tmp_path: Path) -> None:
    class Deaf(Counting):
        def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
            return [Score(-1.0 - len(text) - sum(map(ord, text)) / 1e6, 1, False, 9) for _, text in pairs]

    outcome = reproduce(request("table3", "table2"), tmp_path / "root", load=loads(Deaf(MixerModel("fake:mixer"))))
    assert "the audit has no power" in outcome.remarks[0]
    assert outcome.remarks[0].startswith("phone_messages, codes:")
    instructions, ranks = outcome.views
    assert all(row.ours for row in instructions.rows if row.line.arm)
    assert [bool(row.ours) for row in ranks.rows] == [False, False, True]


def test_table_10_has_other_teachers_and_the_same_student(tmp_path: Path) -> None:
    student, teacher = Counting(MixerModel("fake:mixer")), Counting(CopycatModel("fake:copycat"))
    asked = request("table10", teacher_model="fake:copycat", overrides=(*SMALL, *UNGUARDED), recipes=("default",))
    view = reproduce(asked, tmp_path / "root", load=loads(student, teacher)).views[0]
    assert student.kinds["sampled"] == 0  # it writes nothing
    assert teacher.kinds["sampled"] > 0
    labels = [(row.line.label, row.shots) for row in view.rows]
    assert labels == [
        ("original", 2), ("other-teachers", 2), ("teachers alone", 2),
    ]  # fmt: skip
    assert all(row.ours is not None for row in view.rows)
    assert {path.parent.name for path in (tmp_path / "root").glob("*/run.json")} == {
        "phone_messages", "phone_messages-taught-by-fake-copycat",
    }  # fmt: skip
    # What Table 1 needs of the student's own run is there: only its generated lines are left to do.
    left = parts_of(request("table1", overrides=asked.overrides), tmp_path / "root")[0]
    assert {key.arm for key in left.cells} == {"zero-shot", "original", "generated", "generated-paper"}
    own = Counting(MixerModel("fake:mixer"))
    reproduce(request("table1", overrides=asked.overrides), tmp_path / "root", load=loads(own))
    assert own.kinds["sampled"] > 0
    page = (tmp_path / "root" / "reproduce.html").read_text()
    assert "other teachers fake:copycat" in page  # the table of the earlier command, as it was asked for then


def test_teaching_that_ends_without_a_lesson_is_told_and_is_no_score(tmp_path: Path) -> None:
    class Mumbling(Counting):
        def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
            self._call("sampled", [(prompt, sampling) for prompt in prompts])
            return [[Completion("hm", (-1.0,), "stop", 9)] * samples for _ in prompts]

    model = Mumbling(MixerModel("fake:mixer"))
    view = reproduce(request("table1"), tmp_path / "root", load=loads(model)).views[0]
    generated = [row for row in view.rows if row.line.recipe]
    assert len(generated) == 2
    assert all(row.ours is None and row.failed == 2 and "usable examples" in row.reason for row in generated)
    assert all(row.ours for row in view.rows if not row.line.recipe)
    text = (tmp_path / "root" / "table1.md").read_text()
    assert "| 2 | generated | no lesson |" in text
    assert "- phone_messages, generated: no lesson 2 times, at 2 shots (3 teachers sent 0 usable examples" in text
    assert reproduce(request("table1"), tmp_path / "root", load=no_model).views[0] == view
    assert load_result(tmp_path / "root" / "phone_messages").arms[-1].name == "original"


def test_tasks_share_one_model_in_memory(tmp_path: Path) -> None:
    rows = [{"text": f"mira put lantern {n} on the sill and looked at lantern number{n % 5}"} for n in range(60)]
    for name, part in (("train", rows[:50]), ("test_plain", rows[50:])):
        file = tmp_path / "data" / "lambada" / f"{name}.jsonl.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in part).encode()))
    loaded = []

    def load(name: str, **_: Any) -> LanguageModel:
        loaded.append(name)
        return MixerModel(name)

    asked = request("table2", tasks=("phone_messages", "lambada"))
    told: list[tuple[str, int, int]] = []
    outcome = reproduce(asked, tmp_path / "root", data=tmp_path / "data", load=load, watch=Telling(told))
    assert loaded == ["fake:mixer"]
    assert list(outcome.views[0].tasks) == ["phone_messages", "lambada"]
    assert [row.paper for row in outcome.views[0].tasks["phone_messages"]] == [None] * 3
    assert outcome.views[0].tasks["lambada"][2].paper == PaperFigure(82.81, 1.87)
    cells = [(done, total) for what, done, total in told if what == "cells"]
    assert cells == [(done, 8) for done in range(9)]
    assert any(what == "lambada instruction-r1: test rows" for what, _, _ in told)
    assert sum(count for what, count, _ in told if what == "tokens") > 0


class Telling:
    """A Watch that remembers."""

    def __init__(self, told: list[tuple[str, int, int]]) -> None:
        self.told = told

    def cells(self, done: int, total: int) -> None:
        self.told.append(("cells", done, total))

    def step(self, what: str, done: int, total: int) -> None:
        self.told.append((what, done, total))

    def model(self, what: str, done: int, total: int) -> None:
        pass

    def tokens(self, count: int) -> None:
        self.told.append(("tokens", count, 0))


def test_stars_and_bold_are_set_as_the_paper_sets_them(tmp_path: Path) -> None:
    asked = request("table1", model="org/model", tasks=("sms_spam",), overrides=("shots=[8]",), recipes=("default",))
    for name, right in (("original-n8", 50), ("generated-n8", 30), ("zero-shot", 25)):
        for repeat in range(1 if name == "zero-shot" else 2):
            arm, _, shots = name.partition("-n")
            good: list[Outcome] = ["correct"] * (right + 2 * repeat)
            wrong: list[Outcome] = ["wrong"] * (60 - len(good))
            evaluation = Evaluation((*good, *wrong))
            key = CellKey(arm, int(shots or 0), repeat)
            file = tmp_path / "sms_spam" / "cells" / key.name / "cell.json"
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps(Cell(key, evaluation, Usage(), Usage(), 1.0, 1.0).to_table()))
    view = view_of(asked, tmp_path, TABLES["table1"])
    zero, original, generated = view.rows
    assert [row.line.label for row in view.rows] == ["zero-shot", "original", "generated"]
    assert zero.ours is not None
    assert zero.ours.stderr is None
    assert original.ours is not None
    assert original.ours.value == pytest.approx(100 * 51 / 60)
    assert original.ours.stderr == pytest.approx(100 / 60)
    assert original.ours.p_value is None
    assert generated.ours is not None
    assert not generated.ours.significant  # by the paper's test it would be
    assert (zero.best, original.best, generated.best) == (False, True, False)
    assert (original.paper_best, generated.paper_best) == (True, False)
    text = markdown(view, Took())
    assert generated.ours.paired is not None
    assert generated.ours.paired.difference == pytest.approx(-20 / 60)
    assert "| 8 | original | **85.0 (1.7)** |  |  |  | **96.02 (0.27)** | 60 × 2 |" in text
    assert r"| 8 | generated | 51.7 (1.7) | -33.3 (-84.4 to +17.8) | 0.076 | <0.001 | 86.45 (0.88)\* |" in text


def test_a_line_that_is_told_the_format_stands_in_table_1_for_gsm8k_alone(tmp_path: Path) -> None:
    key = CellKey("format-note", 0, 0)
    file = tmp_path / "gsm8k" / "cells" / key.name / "cell.json"
    file.parent.mkdir(parents=True)
    evaluation = Evaluation(("correct", "wrong", "wrong", "unparsed"))
    file.write_text(json.dumps(Cell(key, evaluation, Usage(), Usage(), 1.0, 1.0).to_table()))
    asked = request("table1", tasks=("sms_spam", "gsm8k"))
    tasks = view_of(asked, tmp_path, TABLES["table1"]).tasks
    assert [row.line.arm for row in tasks["sms_spam"]][:2] == ["zero-shot", "original"]
    zero, noted = tasks["gsm8k"][:2]
    assert (zero.line.arm, noted.line.label, noted.paper) == ("zero-shot", "zero-shot, format note", PaperFigure(16.38))
    assert noted.ours is not None
    assert (noted.ours.value, noted.best, noted.shots) == (25.0, False, 0)
    parts = {part.task: {key.arm for key in part.cells} for part in parts_of(asked, tmp_path)}
    assert parts["gsm8k"] - parts["sms_spam"] == {"format-note"}


def test_what_is_written_agrees(tmp_path: Path) -> None:
    view = reproduce(request("table1"), tmp_path / "root", load=loads(MixerModel("fake:mixer"))).views[0]
    table = json.loads((tmp_path / "root" / "table1.json").read_text())
    rows = list(csv.DictReader((tmp_path / "root" / "table1.csv").read_text().splitlines()))
    assert len(rows) == len(table["rows"]) == len(view.rows) == 1 + 3
    assert [row["line"] for row in rows] == [row["line"] for row in table["rows"]]
    assert [float(row["value"]) for row in rows] == [row["value"] for row in table["rows"]]
    assert (table["model"], table["request"]["repeats"], table["seed"], table["request"]["test_rows"]) == (
        "fake:mixer",
        2,
        1,
        8,
    )
    assert "numpy" in table["made"]["versions"]
    assert not list((tmp_path / "root").glob(".*"))


def test_what_a_killed_command_took_is_told_too(tmp_path: Path) -> None:
    ticks = iter(range(10**6))
    with pytest.raises(Killed):
        reproduce(
            request("table1"),
            tmp_path / "root",
            load=loads(Counting(MixerModel("fake:mixer"), die_at=12)),
            clock=lambda: float(next(ticks)),
        )
    took = json.loads((tmp_path / "root" / "took.json").read_text())
    assert took["commands"] == 1
    assert took["seconds"] >= 1
    outcome = reproduce(request("table1"), tmp_path / "root", load=loads(MixerModel("fake:mixer")))
    assert json.loads((outcome.root / "table1.json").read_text())["took"]["commands"] == 2


def test_time_and_memory_of_all_commands_with_a_folder_are_told(tmp_path: Path) -> None:
    def take(table: str, *seconds: float) -> dict[str, Any]:
        times = iter(seconds)

        def clock() -> float:
            return next(times, seconds[-1])

        reproduce(request(table), tmp_path / "root", load=loads(MixerModel("fake:mixer")), clock=clock)
        told: dict[str, Any] = json.loads((tmp_path / "root" / f"{table}.json").read_text())["took"]
        return told

    first = take("table2", 100.0, 700.0)
    assert (first["seconds"], first["commands"]) == (600.0, 1)
    peak = peak_memory()
    assert first["peak_memory"] is None if peak is None else 2**20 < first["peak_memory"] <= peak
    second = take("table1", 0.0, 300.0)
    assert (second["seconds"], second["commands"]) == (900.0, 2)
    assert take("table1", 0.0)["commands"] == 2  # nothing was left to do
    for file in ("table1.md", "reproduce.html"):
        assert "15 min in 2 commands for all tables of this folder" in (tmp_path / "root" / file).read_text()


def test_a_folder_of_parts_serves_the_report_and_later_the_whole_run(tmp_path: Path) -> None:
    reproduce(request("table2"), tmp_path / "root", load=loads(MixerModel("fake:mixer")))
    folder = tmp_path / "root" / "phone_messages"
    assert [arm.name for arm in load_result(folder).arms] == ["zero-shot", "manual", "instruction"]
    assert (folder / "report.html").exists()
    reproduce(request("table1"), tmp_path / "root", load=loads(MixerModel("fake:mixer")))
    names = [arm.name for arm in load_result(folder).arms]
    assert names == [
        "zero-shot",
        "manual",
        "original",
        "generated",
        "generated-paper",
        "instruction",
    ]


def test_other_settings_get_another_root_and_other_tables_do_not() -> None:
    assert default_root(request("table1")) == default_root(request("table2", tasks=("boolq",), trials=7))
    roots = {
        str(default_root(request("table1", **changes)))
        for changes in ({}, {"repeats": 3}, {"test_rows": 9}, {"model": "org/name"}, {"overrides": ("seed=2",)})
    }
    assert len(roots) == 5
    assert any(root.startswith("runs/reproduce-name-") for root in roots)


def test_a_forecast_counts_what_is_left_and_writes_nothing(tmp_path: Path) -> None:
    seconds = iter(range(1000))
    tables = request("table1", "table3", recipes=("default",), overrides=("shots=[1,2]", *SMALL[1:]))
    root = tmp_path / "root"

    def clock() -> float:
        return float(next(seconds))

    first = forecast(tables, root, load=lambda name, **_: MixerModel(name), clock=clock)
    assert not root.exists()
    assert [row.label for row in first.rows] == [
        "phone_messages zero-shot", "phone_messages original", "phone_messages generated",
        "phone_messages audit, codes: verbatim", "phone_messages audit, codes: generated",
    ]  # fmt: skip
    zero = first.rows[0].work
    assert zero.calls == 2 * (8 + 3)  # two labels; 8 test rows, 3 inputs that say nothing
    assert zero.different <= zero.prompt_tokens
    assert first.rows[1].work.calls == 2 * 2 * 2 * (8 + 16)  # two labels, two numbers of shots, two repeats
    assert first.rows[4].work.calls >= 2 * 20  # two trials, each with 20 canaries
    assert first.total.seconds
    assert "times the time taken" in first.about

    model = Counting(MixerModel("fake:mixer"))
    reproduce(tables, root, load=loads(model))
    both = request("table1", "table2", overrides=tables.overrides)
    again = forecast(both, root, load=lambda name, **_: MixerModel(name), clock=clock)
    assert {row.label.split()[1] for row in again.rows} == {"generated-paper", "manual", "instruction"}
    done = forecast(tables, root, load=no_model, clock=clock)
    assert done.rows == ()
    assert done.total.work.calls == 0


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"tables": ("table9",)}, ConfigError, "no table 'table9'.*did you mean"),
        ({"tasks": ("lambda",)}, ConfigError, "did you mean 'lambada'"),
        ({"tables": ("table10",)}, ConfigError, "--teacher-model NAME"),
        ({"tables": ("table10",), "teacher_model": "fake:mixer"}, ConfigError, "another model than the student's"),
        ({"teacher_model": "fake:copycat"}, ConfigError, "for table10 alone"),
        ({"overrides": ("student.model=x",)}, ConfigError, "options of their own"),
        ({"overrides": ("arms=['voted']",)}, ConfigError, "what can be set here"),
        ({"overrides": ("shots=[400]",)}, DataError, "needs 400 examples per teacher"),
        ({"tasks": ("lambada",)}, ConfigError, "SOCIAL_LEARNING_DATA"),
        ({"tables": ("table3",), "canaries": ("names",)}, ConfigError, "list of names"),
        ({"tables": ("table3",), "references": 10_000}, ConfigError, "references are too many"),
    ],
)
def test_what_cannot_work_is_refused_before_any_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], error: type[Exception], told: str
) -> None:
    monkeypatch.delenv("SOCIAL_LEARNING_DATA", raising=False)
    tables = changes.pop("tables", ("table1",))
    with pytest.raises(error, match=told):
        reproduce(request(*tables, **changes), tmp_path / "root", load=no_model)
    assert not (tmp_path / "root").exists()


def test_a_model_that_cannot_be_loaded_is_told_before_any_call(tmp_path: Path) -> None:
    model = Counting(MixerModel("fake:mixer"))

    def load(name: str, **_: Any) -> LanguageModel:
        if name == "fake:mixer":
            return model
        raise ModelError(f"no model {name}")

    with pytest.raises(ModelError, match="no model absent"):
        reproduce(request("table1", "table10", teacher_model="absent"), tmp_path / "root", load=load)
    assert model.calls == 0


def test_a_forecast_asks_an_endpoint_nothing(tmp_path: Path) -> None:
    asked = request("table2", model="openai:some@http://127.0.0.1:9/v1")  # nobody listens there
    told = forecast(asked, tmp_path / "root", load=no_model)
    assert told.total.work.calls
    assert (told.total.seconds, told.paces) == (None, {})
    assert told.total.figures[-2:] == ("", "not known")
    assert "Not known: the prices of openai:some@http://127.0.0.1:9/v1" in told.remarks[1]


def endpoints(**changes: Any) -> dict[str, Any]:
    table = {"model": "m", "base_url": "http://127.0.0.1:9/v1", "prices": {"input": 1.0, "output": 2.0}}
    return {"models": {"big": table | changes, "small": table | {"model": "s"}}}


def test_a_forecast_tells_the_price_of_endpoints_by_name(tmp_path: Path) -> None:
    asked = request("table2", model="big", **endpoints())
    told = forecast(asked, tmp_path / "root", load=no_model)
    total = told.total
    assert total.cost == pytest.approx((total.work.prompt_tokens + 2 * total.work.new_tokens) / 1e6)
    assert total.seconds is None
    assert told.remarks[0].startswith("Price: ")
    assert told.to_table()["total"]["cost"] == total.cost


def test_endpoints_that_are_not_asked_and_budgets_leave_the_folder_what_it_is() -> None:
    one = request("table2", model="big", **endpoints())
    assert default_root(one) == default_root(replace(one, models={"big": one.models["big"]}, budget={"max_cost": 1.0}))
    assert default_root(one) == default_root(replace(one, overrides=(*one.overrides, "budget.max_calls=7")))
    assert default_root(one) == default_root(request("table2", model="big", **endpoints(concurrency=2)))
    assert default_root(one) != default_root(request("table2", model="big", **endpoints(form="chat")))
    assert Request.from_table(json.loads(json.dumps(asdict(one)))) == one


def test_one_budget_holds_for_all_tables_and_goes(tmp_path: Path, serve: Callable[[Handler], Loopback]) -> None:
    server = serve(MixingPretender())
    served = {"models": {"big": {"model": "pretender", "base_url": server.url}}}
    asked = request("table2", model="big", recipes=("default",), repeats=1, **served)
    for limit in (30, 50):
        with pytest.raises(BudgetError, match=f"budget.max_calls = {limit} "):
            reproduce(replace(asked, budget={"max_calls": limit}), tmp_path / "root")
    ledger = next((tmp_path / "cache").rglob("spent-reproduce-*.jsonl"))
    assert Purse(Limits(), ledger).spent.calls == 50
    outcome = reproduce(replace(asked, overrides=(*asked.overrides, "budget.max_calls=9999")), tmp_path / "root")
    assert all(row.ours for row in outcome.views[0].rows if row.line.arm)
    assert len(list((tmp_path / "cache").rglob("spent-*.jsonl"))) == 1
