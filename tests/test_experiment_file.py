"""Settings as an experiment file: it gives the same experiment, whatever is in it, and runs from the run folder."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from social_learning.config import Experiment, load_experiment, parse_experiment
from social_learning.corpus import load_corpus
from social_learning.experiment import run
from social_learning.experiment_file import experiment_toml, settings_as_toml

EXAMPLES = Path(__file__).parents[1] / "examples"
BUNDLED = Path(__file__).parents[1] / "src" / "social_learning" / "bundled"
OWN = {
    "name": 'tri"cky',
    "template": 'Say:\t"""{text}"""\n\\n \'x\' {{y}}\n# no comment\nAnswer = {answer}',
    "instruction": "Two\nlines, \"quotes\", 'more', back\\slash, é, 日本, \U0001f600, \x01\x1f\x7f\u2028, ''' and \"\"\"",
    "labels": ["yes", 'n"o', "a.b", "[x]"],
    "metric": "labels",
    "multiline": ["text"],
}
HARD: dict[str, dict[str, Any]] = {
    "arms": {
        "arms": {
            "zero-shot": {},
            "a.b": {
                "method": "generated",
                "shots": [1, 2],
                "teachers": {"count": 2, "alpha": 1e-9},
                "student": {"calibrate": False},
            },
            "true": {"method": "manual", "instruction": {"text": "x = 1\n[y]"}},
        }
    },
    "own task": {
        "task": OWN,
        "data": {"train": "é rows.csv", "columns": {"text": "the # text", "answer": "=", "": "'"}},
    },
    "label names": {
        "data": {
            "train": "r.tsv",
            "label_names": {"": "spam", "1": "spam", "a b": "x", 'q"': "y", "\n": "z", "\x7f": "w", "ß.ü": "v"},
        }
    },
    "models": {
        "models": {
            "big.one": {
                "model": "m",
                "base_url": "https://host/v1",
                "headers": {"X-A": 'a "b" \\'},
                "prices": {"input": 0.1, "output": 1e22},
                "body": {
                    "stop": [{"a": 1, "b": [{}, []]}],
                    "top_k": 10**30,
                    "nested": {"x": {"y": [[1], [2.5, -0.0]]}},
                },
                "context_length": 5,
            },
            "plain": {"model": "m", "base_url": "http://host/v1"},
        },
        "teachers": {"model": "big.one", "memory": "2 GiB"},
        "budget": {"max_cost": 0.1},
    },
    "remote": {
        "arms": ["zero-shot", "generated"],
        "remote": {
            "teachers": ["ann", "bo.c"],
            "nodes": {"ann": 2**63, "bo.c": 7},
            "sockets": "s/{name}.sock",
            "min_teachers": 1,
        },
    },
    "numbers": {
        "seed": 2**80,
        "teachers": {"min_distance": 1e-300, "device": "cuda:1"},
        "generation": {"temperature": 1e300},
    },
    "canaries": {
        "canary": {"codes": 'a {code}\n"b"', "names": "'{name}'"},
        "privacy": {"silos": "../si los", "record_originals": True},
    },
}


def again(experiment: Experiment, folder: Path) -> tuple[Experiment, Experiment]:
    """An experiment read back from its settings, and from the file that its run folder holds."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("s.toml", settings_as_toml(experiment.model_dump(mode="json"))),
        ("e.toml", experiment_toml(experiment, folder)),
    ):
        (folder / name).write_text(text, encoding="utf-8")
    return load_experiment(folder / "s.toml"), load_experiment(folder / "e.toml")


def check(experiment: Experiment, folder: Path) -> None:
    plain, moved = again(experiment, folder)
    assert plain.fingerprint == moved.fingerprint == experiment.fingerprint
    assert plain.model_dump() == experiment.model_dump()
    # By way of run.json, as the report has them.
    written = json.loads(json.dumps(experiment.model_dump(mode="json")))
    assert settings_as_toml(written) == settings_as_toml(experiment.model_dump(mode="json"))


FILES = sorted({*EXAMPLES.glob("**/*.toml"), BUNDLED / "demo.toml"} - set(EXAMPLES.glob("flower/app/**/*.toml")))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_example_survives(file: Path, tmp_path: Path) -> None:
    check(load_experiment(file), tmp_path / "run")


@pytest.mark.parametrize("changes", HARD.values(), ids=HARD)
def test_hard_ones_survive(changes: dict[str, Any], tmp_path: Path) -> None:
    check(
        parse_experiment({"name": "hard", "task": "phone_messages", **changes}, base=tmp_path), tmp_path / "a" / "run"
    )


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = st.one_of(TEXT, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
BODY = st.recursive(
    PLAIN, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3))
)


@given(
    st.dictionaries(TEXT, TEXT),
    st.dictionaries(TEXT.filter(lambda key: not set(key.lower()) & set("aksp")), BODY),
    TEXT,
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_text_key_and_value_survives(
    tmp_path: Path, names: dict[str, str], body: dict[str, Any], text: str
) -> None:
    model = {"model": "m", "base_url": "http://host/v1", "body": body}
    table = {"data": {"train": "r.csv", "label_names": names}, "models": {"m": model}, "instruction": {"text": text}}
    check(
        parse_experiment({"name": "any", "task": "phone_messages", "teachers": {"model": "m"}, **table}),
        tmp_path / "run",
    )


def test_the_file_in_the_run_folder_runs_from_there_and_goes_on_with_the_same_run(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("reviews.toml", "reviews.csv"):
        shutil.copy(EXAMPLES / name, home / name)
    fakes = (
        "student.model='fake:mixer'",
        "teachers.model='fake:mixer'",
        "teachers.count=2",
        "repeats=1",
        "privacy.silos='private'",
    )
    first = load_experiment(home / "reviews.toml", [*fakes, "arms=['zero-shot']", "data.test_rows=6"])
    run(first, tmp_path / "runs" / "one")
    moved = load_experiment(tmp_path / "runs" / "one" / "experiment.toml")
    assert moved.fingerprint == first.fingerprint
    assert load_corpus(moved).train == load_corpus(first).train
    # The private folder is found from there too, and with it the key of the data.
    run(moved, tmp_path / "runs" / "one")
    assert str(tmp_path) not in (tmp_path / "runs" / "one" / "experiment.toml").read_text()


def test_a_built_in_task_with_its_own_data_runs_from_its_settings(tmp_path: Path) -> None:
    experiment = parse_experiment({"name": "own", "task": "phone_messages", "data": {"test_rows": 9}})
    for read in again(experiment, tmp_path):
        assert load_corpus(read) == load_corpus(experiment)
