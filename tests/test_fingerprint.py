"""The fingerprint: every setting of every table is classified, and counts exactly where it decides an outcome."""

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from social_learning.config import Arm, Experiment, parse_experiment
from social_learning.errors import ConfigError, RunFolderError
from social_learning.experiment import run
from social_learning.fingerprint import DECIDES, DOES_NOT, decided_by, differences

TASK = {"name": "own", "template": "Q: {q}\nA: {answer}", "instruction": "Answer."}
BIG = {"model": "m", "base_url": "http://127.0.0.1:9/v1"}
BASE: dict[str, Any] = {
    "name": "one",
    "task": TASK,
    "arms": {"zero-shot": {}, "generated": {}},
    "data": {"train": "rows.csv"},
    "teachers": {"model": "big"},
    "models": {"big": BIG},
    "remote": {"teachers": ["ann", "bo"]},
}

OTHER: dict[str, dict[str, Any]] = {
    "Experiment": {
        "name": "two", "task": {**TASK, "instruction": "Say."}, "seed": 2, "repeats": 4, "compare_with": "generated",
        "data": {"train": "others.csv"}, "privacy": {"detector": "presidio"}, "canary": {"codes": "{code}"},
        "models": {"big": {**BIG, "model": "n"}}, "remote": None, "budget": {"max_calls": 3}, "base": "elsewhere",
    },
    "Task": {
        "name": "other", "template": "Question: {q}\nA: {answer}", "instruction": "Say.", "metric": "number",
        "answer_marker": "####", "answer_pattern": "[a-z]+", "multiline": ["q"], "max_answer_tokens": 9,
        "max_example_tokens": 64, "cloze": True, "decimal": "comma",
    },
    "Data": {
        "train": "others.csv", "test": "test.csv", "train_split": "a", "test_split": "b", "columns": {"q": "x"},
        "label_names": {"1": "a"}, "test_rows": 7, "development": 5, "root": "elsewhere",
    },
    "Teachers": {
        "model": "fake:mixer", "dtype": "float32", "device": "cpu", "memory": 7, "count": 3, "split": "dirichlet", "alpha": 0.5,
        "held_out": 0.5, "no_copies": False, "min_distance": 0.4, "no_shared_numbers": True, "no_shared_names": True,
    },
    "StudentTable": {
        "model": "fake:mixer", "dtype": "float32", "device": "cpu", "memory": 7, "answer_by": "free", "calibrate": False,
    },
    "GenerationTable": {
        "recipe": "paper", "shots": 3, "samples": 9, "keep": 2, "temperature": 0.5, "top_p": 0.5, "way": "plain",
        "self_check": True, "balanced": False, "complete": True, "cloze": True, "lessons": 3, "questions": 2, "share": 2.0,
        "vote_by": "answers", "cohort": 2,
    },
    "InstructionTable": {"shots": 3, "samples": 9, "text": "Say."},
    "Privacy": {"record_originals": True, "silos": "elsewhere", "detector": "presidio"},
    "Canary": {"codes": "{code}", "names": "{name}"},
    "EndpointTable": {
        "model": "n", "base_url": "http://127.0.0.1:8/v1", "key_env": "KEY", "key_header": "X-Key", "headers": {"X": "y"},
        "form": "chat", "scoring": "none", "concurrency": 3, "context_length": 99, "timeout": 9.0, "deadline": 99.0,
        "prices": {"input": 1.0}, "body": {"x": 1},
    },
    "Remote": {
        "teachers": ["ann", "cy"], "sockets": "{name}.sock", "nodes": {"ann": 3}, "min_teachers": 1, "timeout": 9.0, "wait": 9.0,
    },
}  # fmt: skip
"""Another value for each setting."""

PLACES = {
    "Experiment": (), "Task": ("task",), "Data": ("data",), "Teachers": ("teachers",), "StudentTable": ("student",),
    "GenerationTable": ("generation",), "InstructionTable": ("instruction",), "Privacy": ("privacy",), "Canary": ("canary",),
    "EndpointTable": ("models", "big"), "Remote": ("remote",),
}  # fmt: skip
IN_ARMS = ("arms", "shots", "teachers", "student", "generation", "instruction")
ALONE = {("Task", "labels"), ("Task", "gap"), ("Task", "decimal")}
"""Settings that need others beside them; they have a test of their own."""


def tables_in(annotation: Any) -> set[type[BaseModel]]:
    found = {annotation} if isinstance(annotation, type) and issubclass(annotation, BaseModel) else set()
    return found.union(*(tables_in(part) for part in get_args(annotation)))


def tables() -> set[type[BaseModel]]:
    """Every table that settings which decide can stand in."""
    seen: set[type[BaseModel]] = set()
    waiting: list[type[BaseModel]] = [Experiment, Arm]
    while waiting:
        table = waiting.pop()
        if table not in seen:
            seen.add(table)
            decides = DECIDES.get(table.__name__, ())
            waiting += [inner for name in decides for inner in tables_in(table.model_fields[name].annotation)]
    return seen


def test_every_setting_of_every_table_is_classified_once() -> None:
    assert {table.__name__ for table in tables()} == set(DECIDES) == set(DOES_NOT)
    for table in tables():
        decides, others = DECIDES[table.__name__], DOES_NOT[table.__name__]
        assert sorted((*decides, *others)) == sorted(table.model_fields), table.__name__
        assert all(reason.strip() for reason in others.values())


def changed(kind: str, name: str, value: Any) -> Experiment:
    settings = {key: dict(part) if isinstance(part, dict) else part for key, part in BASE.items()}
    table: Any = settings
    for step in PLACES[kind]:
        table[step] = dict(table.get(step, {}))
        table = table[step]
    if (kind, name) == ("Experiment", "base"):
        return parse_experiment(settings, base=Path(value))
    table[name] = value
    return parse_experiment(settings)


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in PLACES for name in (*DECIDES[kind], *DOES_NOT[kind])]
)
def test_a_setting_counts_where_it_decides_and_nowhere_else(kind: str, name: str) -> None:
    if (kind, name) in ALONE or (kind == "Experiment" and name in IN_ARMS):
        return
    other, plain = changed(kind, name, OTHER[kind][name]), parse_experiment(BASE)
    assert other != plain
    assert (other.fingerprint != plain.fingerprint) == (name in DECIDES[kind])


def test_settings_that_need_others_count_too() -> None:
    def own(**task: Any) -> str:
        return parse_experiment({**BASE, "task": {**TASK, **task}}).fingerprint

    assert own(metric="labels", labels=["a", "b"]) != own(metric="labels", labels=["a", "c"])
    assert own(cloze=True) != own(cloze=True, gap="___")
    assert own(metric="number") != own(metric="number", decimal="comma")


def test_arms_count_as_they_are_put_together() -> None:
    own = {"name": "one", "task": "phone_messages"}
    named = parse_experiment({**own, "arms": ["zero-shot", "generated"], "shots": [2], "teachers": {"count": 3}})
    spelt = parse_experiment(
        {**own, "arms": {"zero-shot": {}, "generated": {"method": "generated", "shots": [2]}}, "teachers": {"count": 3}}
    )
    assert named.fingerprint == spelt.fingerprint
    elsewhere = {"zero-shot": {}, "generated": {"teachers": {"device": "cpu"}, "student": {"memory": 5}}}
    assert (
        parse_experiment({**own, "arms": elsewhere, "shots": [2], "teachers": {"count": 3}}).fingerprint
        == named.fingerprint
    )
    fewer = {"zero-shot": {}, "generated": {"teachers": {"count": 2}}}
    assert (
        parse_experiment({**own, "arms": fewer, "shots": [2], "teachers": {"count": 3}}).fingerprint
        != named.fingerprint
    )


def test_models_that_nobody_asks_do_not_count_and_folders_of_data_files_do_not_either() -> None:
    plain = parse_experiment(BASE).fingerprint
    assert parse_experiment({**BASE, "models": {"big": BIG, "spare": {**BIG, "model": "s"}}}).fingerprint == plain
    assert parse_experiment({**BASE, "data": {"train": "some/where/rows.csv"}}).fingerprint == plain
    assert (
        parse_experiment({**BASE, "data": {"train": "ann/rows"}}).fingerprint
        != parse_experiment({**BASE, "data": {"train": "bo/rows"}}).fingerprint
    )


def test_a_table_that_nobody_classified_is_refused() -> None:
    class New(BaseModel):
        knob: int = 1

    with pytest.raises(KeyError):
        decided_by(New())


def test_a_folder_of_another_fingerprint_is_refused_by_what_differs(tmp_path: Path) -> None:
    small: dict[str, Any] = {
        "name": "x",
        "task": "phone_messages",
        "repeats": 1,
        "arms": ["zero-shot"],
        "data": {"test_rows": 4},
    }
    fakes = {"student": {"model": "fake:mixer"}, "teachers": {"model": "fake:mixer"}}
    run(parse_experiment({**small, **fakes}), tmp_path)
    with pytest.raises(
        RunFolderError, match=r"holds a run with other settings \(seed, arms\.zero-shot\.student\.calibrate\): give"
    ):
        run(
            parse_experiment({**small, **fakes, "seed": 9, "student": {"model": "fake:mixer", "calibrate": False}}),
            tmp_path,
        )
    file = tmp_path / "run.json"
    text = file.read_text()
    file.write_text(text.replace(parse_experiment({**small, **fakes}).fingerprint, "0" * 8))
    with pytest.raises(RunFolderError, match="holds a run of an older version, which reckoned fingerprints"):
        run(parse_experiment({**small, **fakes}), tmp_path)
    file.write_text(text.replace('"seed": 1', '"sead": 1').replace('"fingerprint": "', '"fingerprint": "0'))
    with pytest.raises(RunFolderError, match="of another version, with other settings than this one knows"):
        run(parse_experiment({**small, **fakes}), tmp_path)
    assert differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 1}, "d": 2}) == ["c", "d"]


@pytest.mark.parametrize(
    "changes",
    [
        {"arms": {"zero-shot": {}, "generated": {"generation": {"samples": None}}}},
        {"models": {"big": {**BIG, "body": {"stop": [{"x": None}]}}}},
    ],
)
def test_none_is_refused_where_no_experiment_file_could_say_it(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"(generation\.samples|body\.stop\.0\.x): leave the key out"):
        parse_experiment({**BASE, **changes})
