"""The experiment file: typed values, and errors that say in one line what to change."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from social_learning.config import Experiment, cells_of, load_experiment, parse_experiment
from social_learning.errors import ConfigError
from social_learning.task import Task
from social_learning.tasks import BUILT_IN

TASK = {"name": "mail", "template": "Mail: {text}\nClass: {answer}", "labels": ["ham", "spam"], "metric": "labels"}


def parse(**table: object) -> Experiment:
    return parse_experiment({"name": "x", "task": "sms_spam", **table}, "mine.toml")


def refusal(table: Mapping[str, Any]) -> str:
    """The one line that a table of settings is refused with."""
    with pytest.raises(ConfigError) as caught:
        parse(**table)
    text = str(caught.value)
    assert text.startswith("mine.toml: ")
    assert "\n" not in text
    return text.removeprefix("mine.toml: ")


# Defaults


def test_a_task_is_all_it_takes() -> None:
    experiment = parse()
    assert (experiment.seed, experiment.repeats, experiment.shots) == (1, 5, (16,))
    assert [arm.name for arm in experiment.resolved_arms()] == [
        "zero-shot",
        "manual",
        "original",
        "generated",
        "instruction",
    ]
    assert experiment.compare_with == "zero-shot"
    assert (experiment.teachers.count, experiment.teachers.split, experiment.teachers.held_out) == (8, "uniform", 0.25)
    assert experiment.teachers.no_copies is True
    assert experiment.privacy.record_originals is False


def test_a_task_may_be_defined_in_the_file() -> None:
    task = parse(task=TASK).task
    assert isinstance(task, Task)
    assert task.labels == ("ham", "spam")
    assert task.example({"text": "hi", "answer": "SPAM"}).answer == "spam"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse().seed = 2  # type: ignore[misc]  # what mypy forbids is tested


# Unknown keys


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"repeat": 3}, "unknown key 'repeat'; did you mean 'repeats'?"),
        ({"data": {"tran": "a.jsonl"}}, "unknown key 'data.tran'; did you mean 'train'?"),
        ({"teachers": {"cuont": 3}}, "unknown key 'teachers.cuont'; did you mean 'count'?"),
        ({"student": {"answerby": "free"}}, "unknown key 'student.answerby'; did you mean 'answer_by'?"),
        ({"generation": {"shot": 3}}, "unknown key 'generation.shot'; did you mean 'shots'?"),
        ({"instruction": {"sample": 3}}, "unknown key 'instruction.sample'; did you mean 'samples'?"),
        ({"privacy": {"silo": "s"}}, "unknown key 'privacy.silo'; did you mean 'silos'?"),
        ({"base": "/"}, "unknown key 'base'"),
    ],
)
def test_an_unknown_key_suggests_the_nearest(table: dict[str, Any], problem: str) -> None:
    assert refusal(table) == problem


def test_a_key_that_is_like_none_lists_them_all() -> None:
    assert refusal({"zzzzz": 3}) == (
        "unknown key 'zzzzz'; known keys: name, task, seed, repeats, shots, arms, compare_with, data, teachers, student, "
        "generation, instruction, privacy, canary, models, budget, remote"
    )


def test_an_unknown_key_in_a_task_suggests_the_nearest() -> None:
    wrong = {**TASK, "lables": TASK["labels"]}
    assert refusal({"task": wrong}) == "unknown key 'task.lables'; did you mean 'labels'?"


def test_an_unknown_key_in_an_arm_suggests_the_nearest() -> None:
    arms = {"zero-shot": {}, "generated": {"shot": [4]}}
    assert refusal({"arms": arms}) == "unknown key 'arms.generated.shot'; did you mean 'shots'?"


def test_an_unknown_key_in_an_arms_override_suggests_the_nearest() -> None:
    text = refusal({"arms": {"zero-shot": {}, "generated": {"teachers": {"cuont": 3}}}})
    assert "arms.generated.teachers" in text
    assert text.endswith("unknown key 'cuont'; did you mean 'count'?")


# Wrong values


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"repeats": "many"}, "repeats"),
        ({"repeats": 0}, "repeats"),
        ({"seed": -1}, "seed"),
        ({"shots": []}, "shots"),
        ({"shots": [0]}, "shots.0"),
        ({"shots": [4, "x"]}, "shots.1"),
        ({"shots": 4}, "shots"),
        ({"name": "a b"}, "name"),
        ({"name": "../up"}, "name"),
        ({"teachers": 3}, "teachers"),
        ({"teachers": {"count": 0}}, "teachers.count"),
        ({"teachers": {"held_out": 1.0}}, "teachers.held_out"),
        ({"teachers": {"split": "even"}}, "teachers.split"),
        ({"teachers": {"alpha": 0}}, "teachers.alpha"),
        ({"teachers": {"alpha": float("inf")}}, "teachers.alpha"),
        ({"student": {"answer_by": "guess"}}, "student.answer_by"),
        ({"generation": {"way": "backwards"}}, "generation.way"),
        ({"generation": {"temperature": 0}}, "generation.temperature"),
        ({"generation": {"temperature": float("inf")}}, "generation.temperature"),
        ({"generation": {"top_p": 1.1}}, "generation.top_p"),
        ({"instruction": {"samples": 0}}, "instruction.samples"),
        ({"data": {"test_rows": 0}}, "data.test_rows"),
        ({"data": {"columns": {"text": 5}}}, "data.columns.text"),
        ({"privacy": {"record_originals": "perhaps"}}, "privacy.record_originals"),
        ({"arms": ["zero-shot", 3]}, "arms.1"),
        ({"task": {**TASK, "max_answer_tokens": "many"}}, "task.max_answer_tokens"),
        ({"task": {"name": "mail"}}, "task.template"),
        ({"arms": {"zero-shot": {}, "generated": {"shots": [0]}}}, "arms.generated.shots.0"),
        ({"arms": {"zero-shot": {}, "mine": {"method": "generate"}}}, "arms.mine.method"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(table: dict[str, Any], key: str) -> None:
    assert refusal(table).startswith(f"{key}: ")


@pytest.mark.parametrize("key", ["task", "arms"])
def test_a_value_of_no_possible_kind_is_named_too(key: str) -> None:
    assert refusal({key: 3}).startswith(f"{key}: ")


def test_a_wrong_value_in_an_arms_override_is_named_in_one_line() -> None:
    text = refusal({"arms": {"zero-shot": {}, "generated": {"generation": {"samples": "many"}}}})
    assert "arms.generated.generation" in text
    assert "samples: " in text


def test_a_task_that_does_not_fit_together_is_named() -> None:
    assert refusal({"task": {**TASK, "metric": "exact"}}) == (
        "task 'mail': metric 'labels' needs a list of labels, and only that metric has one"
    )


def test_a_task_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"mine\.toml: task: field required"):
        parse_experiment({"name": "x"}, "mine.toml")


# Arms


def test_arms_as_a_list_are_methods() -> None:
    arms = parse(arms=["zero-shot", "voted"], shots=[4, 1, 4]).resolved_arms()
    assert [(arm.name, arm.method, arm.shots) for arm in arms] == [
        ("zero-shot", "zero-shot", (0,)),
        ("voted", "voted", (1, 4)),
    ]


def test_arms_as_a_table_override_the_experiments_settings() -> None:
    experiment = parse(
        shots=[8],
        teachers={"count": 4, "held_out": 0.5},
        arms={
            "zero-shot": {"student": {"calibrate": False}},
            "generated": {},
            "small": {
                "method": "generated",
                "shots": [2, 1],
                "teachers": {"count": 2},
                "generation": {"recipe": "paper"},
            },
            "told": {"method": "instruction", "shots": [4], "instruction": {"samples": 1}},
        },
    )
    zero, generated, small, told = experiment.resolved_arms()
    assert (zero.student.calibrate, generated.student.calibrate) == (False, True)
    assert (generated.shots, generated.teachers.count, generated.generation.recipe) == ((8,), 4, "default")
    assert (small.method, small.shots, small.generation.recipe) == ("generated", (1, 2), "paper")
    assert (small.teachers.count, small.teachers.held_out) == (2, 0.5)
    assert (told.shots, told.instruction.samples, told.instruction.shots) == ((0,), 1, 8)
    assert [arm.drawn for arm in experiment.resolved_arms()] == [False, True, True, True]


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (
            {"arms": ["zero-shot", "genrated"]},
            "arms: 'genrated' is no method; methods are .*; did you mean 'generated'?",
        ),
        ({"arms": {"zero-shot": {}, "mine": {}}}, "arms: 'mine' is no method; methods are zero-shot, manual, original"),
        ({"arms": []}, "arms: name at least one arm"),
        ({"arms": {}}, "arms: name at least one arm"),
        ({"arms": ["generated"]}, "compare_with: no arm 'zero-shot'; arms are generated"),
        ({"compare_with": "voted"}, "compare_with: no arm 'voted'; arms are zero-shot, manual, original"),
        (
            {"arms": {"zero-shot": {}, "../up": {"method": "manual"}}},
            r"arms: '\.\./up' must be made of letters, digits",
        ),
    ],
)
def test_arms_that_do_not_exist_are_refused(table: dict[str, Any], problem: str) -> None:
    assert re.match(problem, refusal(table))


def test_cells_come_repeat_by_repeat_and_without_chance_only_once() -> None:
    experiment = parse(arms=["zero-shot", "generated", "instruction"], shots=[2, 1], repeats=2)
    assert [key.name for _, key in cells_of(experiment)] == [
        *("zero-shot-r0", "generated-n1-r0", "generated-n2-r0", "instruction-r0"),
        *("generated-n1-r1", "generated-n2-r1", "instruction-r1"),
    ]
    assert {arm.name for arm, key in cells_of(experiment) if key.shots} == {"generated"}


def test_no_two_cells_share_a_folder() -> None:
    arms = {"zero-shot": {}, "generated": {"shots": [4]}, "generated-n4": {"method": "instruction"}}
    try:
        names = [key.name for _, key in cells_of(parse(arms=arms))]
    except ConfigError:
        return
    assert len(set(names)) == len(names)


# Fingerprints


def test_a_fingerprint_is_eight_digits_over_the_settings() -> None:
    fingerprint = parse().fingerprint
    assert re.fullmatch("[0-9a-f]{8}", fingerprint)
    assert parse(seed=1, teachers={"count": 8}).fingerprint == fingerprint
    assert parse(instruction={"text": ""}).fingerprint == fingerprint
    assert parse(generation={"share": 1}).fingerprint == fingerprint
    assert parse(name="y").fingerprint == fingerprint
    others = [
        parse(seed=2),
        parse(task="sms_spam_classes"),
        parse(task=TASK),
        parse(task={**TASK, "instruction": "Decide."}),
        parse(shots=[8]),
        parse(teachers={"count": 7}),
        parse(teachers={"min_distance": 0.1}),
        parse(student={"calibrate": False}),
        parse(generation={"top_p": 0.9}),
        parse(generation={"share": 2}),
        parse(instruction={"samples": 3}),
        parse(instruction={"text": "Decide."}),
        parse(data={"test_rows": 50}),
        parse(arms=["zero-shot", "generated"]),
    ]
    assert len({fingerprint, *(other.fingerprint for other in others)}) == len(others) + 1


def test_a_fingerprint_does_not_depend_on_where_the_file_lies(tmp_path: Path) -> None:
    found = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        (folder / "mine.toml").write_text('task = "sms_spam"\n', encoding="utf-8")
        found.append(load_experiment(folder / "mine.toml"))
    assert found[0].base != found[1].base
    assert found[0].fingerprint == found[1].fingerprint


# Files and overrides


def written(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_with_its_name_and_folder(tmp_path: Path) -> None:
    path = written(tmp_path, 'task = "boolq"\nshots = [1, 2]\n[arms.zero-shot]\n[arms.generated]\nshots = [4]\n')
    experiment = load_experiment(path)
    assert (experiment.name, experiment.task, experiment.base) == ("mine", "boolq", str(tmp_path))
    assert [arm.shots for arm in experiment.resolved_arms()] == [(0,), (4,)]
    assert load_experiment(written(tmp_path, 'name = "other"\ntask = "boolq"')).name == "other"


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ("seed=7", lambda e: e.seed == 7),
        ("teachers.count=4", lambda e: e.teachers.count == 4),
        (" teachers.count = 4 ", lambda e: e.teachers.count == 4),
        ("teachers.model=fake:mixer", lambda e: e.teachers.model == "fake:mixer"),
        ('teachers.model="fake:mixer"', lambda e: e.teachers.model == "fake:mixer"),
        ("teachers.model=a/b@c=d", lambda e: e.teachers.model == "a/b@c=d"),
        ("student.calibrate=false", lambda e: e.student.calibrate is False),
        ("shots=[1, 2]", lambda e: e.shots == (1, 2)),
        ('arms=["zero-shot"]', lambda e: e.arms == ("zero-shot",)),
        ("teachers.held_out=0.5", lambda e: e.teachers.held_out == 0.5),
        ("data.columns={text = 'body'}", lambda e: e.data.columns == {"text": "body"}),
        ("name=renamed", lambda e: e.name == "renamed"),
    ],
)
def test_overrides_are_keys_and_values(tmp_path: Path, override: str, found: Any) -> None:
    assert found(load_experiment(written(tmp_path, 'task = "sms_spam"\n[teachers]\ncount = 2\n'), [override]))


def test_later_overrides_win_and_leave_the_rest_of_a_table(tmp_path: Path) -> None:
    path = written(tmp_path, 'task = "sms_spam"\n[teachers]\nheld_out = 0.5\n')
    teachers = load_experiment(path, ["teachers.count=2", "teachers.count=3"]).teachers
    assert (teachers.count, teachers.held_out) == (3, 0.5)


def test_an_override_reaches_into_an_arm(tmp_path: Path) -> None:
    path = written(tmp_path, 'task = "sms_spam"\n[arms.zero-shot]\n[arms.generated]\n')
    experiment = load_experiment(path, ["arms.generated.shots=[3]", "arms.generated.teachers.count=2"])
    arm = experiment.resolved_arms()[1]
    assert (arm.shots, arm.teachers.count) == ((3,), 2)


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("seed", "override 'seed' is not of the form key=value"),
        ("=3", "override '=3' is not of the form key=value"),
        ("task.name=x", "override 'task.name=x': 'task' is not a table"),
        ("teachers.count.deep=1", "override 'teachers.count.deep=1': 'count' is not a table"),
        ("teachers.cuont=1", "unknown key 'teachers.cuont'; did you mean 'count'?"),
        ("seed=one", "seed: input should be a valid integer"),
        ("seed=", "seed: input should be a valid integer"),
    ],
)
def test_overrides_that_mean_nothing_are_refused(tmp_path: Path, override: str, problem: str) -> None:
    path = written(tmp_path, 'task = "sms_spam"\n[teachers]\ncount = 2\n')
    with pytest.raises(ConfigError, match=re.escape(problem)) as caught:
        load_experiment(path, [override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"task = ", b"task = sms_spam", b"[arms\n", b"\xff\xfe", b'task = "a"\ntask = "b"\n', b"seed = 01\n"]
)
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"mine\.toml: not a readable TOML file: ") as caught:
        load_experiment(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file .*none\.toml"):
        load_experiment(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="not a readable TOML file"):
        load_experiment(tmp_path)


def test_an_experiment_survives_its_own_table() -> None:
    for task in (*BUILT_IN, TASK):
        experiment = parse(task=task, arms={"zero-shot": {}, "generated": {"shots": [2]}}, data={"test_rows": 5})
        again = parse_experiment(experiment.model_dump(mode="json"))
        assert again.fingerprint == experiment.fingerprint
        assert again == experiment
