"""Asking: which student answers with a finished lesson, and what it is asked."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from social_learning import asking
from social_learning.asking import Question, Reply, Wishes
from social_learning.config import parse_experiment
from social_learning.corpus import load_corpus
from social_learning.errors import ConfigError, DataError, ModelError
from social_learning.experiment import run
from social_learning.lesson import Lesson, TestedStudent
from social_learning.models.base import Completion, LanguageModel, Prompt, Sampling
from social_learning.models.fakes import FakeModel, MixerModel
from social_learning.results import CellKey
from social_learning.tasks import BUILT_IN

SMS, BOOLQ, GSM8K = (BUILT_IN[name].task for name in ("sms_spam", "boolq", "gsm8k"))
TESTED = TestedStudent(
    model="org/name", dtype="float16", identity="org/name 12 float16", answer_by="free", calibrate=False, seed=7
)
LESSON = Lesson(task=SMS, instruction="Decide.", student=TESTED)
ADDRESS = "openai:big@http://127.0.0.1:9/v1"


class Speaker(FakeModel):
    """Says the same after every question; keeps how it was asked."""

    def __init__(self, says: str) -> None:
        super().__init__("speaker")
        self._says = says
        self.calls: list[list[Prompt]] = []

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        self.calls.append(list(prompts))
        return [[Completion(self._says, (-1.0,), "stop")] for _ in prompts]


class Loader:
    """Loads a stand-in for any model, or none; keeps what it was asked for."""

    def __init__(self, error: str = "") -> None:
        self._error = error
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, name: str, **options: Any) -> LanguageModel:
        self.asked.append((name, options))
        if self._error:
            raise ModelError(self._error)
        return MixerModel(name)


def test_the_tested_student_is_asked() -> None:
    assert asking.chosen(LESSON, Wishes()) == TESTED
    told = "org/name, float16 (answers by free, not calibrated) answers, as the run tested it"
    assert asking.said(LESSON, TESTED, MixerModel(TESTED.identity)) == told
    assert asking.said(LESSON, TESTED, MixerModel("org/name 13")) == f"{told}, but for its weights or number format"


def test_another_student_is_asked_where_that_is_wished_and_it_is_said() -> None:
    other = asking.chosen(LESSON, Wishes("fake:mixer", "labels", True))
    assert (other.model, other.dtype, other.identity, other.answer_by, other.calibrate, other.seed) == (
        "fake:mixer", "auto", "", "labels", True, 7,
    )  # fmt: skip
    assert asking.said(LESSON, other, MixerModel("fake:mixer")) == (
        "fake:mixer (answers by labels, calibrated) answers, not the student that the run tested: "
        "org/name, float16 (answers by free, not calibrated)"
    )
    same = asking.chosen(LESSON, Wishes("org/name", None, True))
    assert (same.dtype, same.identity, same.answer_by, same.calibrate) == ("float16", TESTED.identity, "free", True)


def test_a_lesson_that_names_no_student_is_asked_by_the_default_and_it_is_said() -> None:
    lesson = Lesson(task=SMS)
    student = asking.chosen(lesson, Wishes())
    assert asking.said(lesson, student, MixerModel("any")) == (
        "the lesson does not say which student was tested: smollm2-135m-instruct (answers by auto, calibrated) answers"
    )


def test_other_weights_are_told() -> None:
    assert asking.differs(TESTED, MixerModel(TESTED.identity)) is None
    told = asking.differs(TESTED, MixerModel("org/name 13 float16"))
    assert told is not None
    assert told.startswith("the run tested org/name 12 float16, and this is org/name 13 float16: ")
    assert asking.differs(asking.chosen(LESSON, Wishes("fake:mixer")), MixerModel("fake:mixer")) is None


def test_the_model_is_loaded_in_the_form_that_was_tested() -> None:
    load = Loader()
    asking.student_model(LESSON, TESTED, False, None, load)
    assert load.asked == [("org/name", {"dtype": "float16"})]


def test_a_model_that_is_not_there_is_explained_by_the_lesson() -> None:
    with pytest.raises(ModelError, match=r"no such model \(the lesson names this model: give --experiment FILE"):
        asking.student_model(LESSON, TESTED, False, None, Loader("no such model"))
    with pytest.raises(ModelError, match=r"^no such model$"):
        asking.student_model(LESSON, TESTED, True, None, Loader("no such model"))


def test_an_address_that_only_the_lesson_names_is_not_asked() -> None:
    lesson = LESSON.model_copy(update={"student": TESTED.model_copy(update={"model": ADDRESS, "dtype": "auto"})})
    student, load = asking.chosen(lesson, Wishes()), Loader()
    with pytest.raises(ModelError, match=f"would be sent there: allow it with --model {ADDRESS}"):
        asking.student_model(lesson, student, False, None, load)
    assert load.asked == []
    asking.student_model(lesson, student, True, None, load)
    table = {"name": "mine", "task": "phone_messages", "student": {"model": ADDRESS}}
    asking.student_model(lesson, student, False, parse_experiment(table), load)
    assert load.asked == [(ADDRESS, {}), (ADDRESS, {})]


def test_a_table_of_the_experiment_is_the_model() -> None:
    student = TESTED.model_copy(update={"model": "served", "dtype": "auto"})
    models = {"served": {"model": "big", "base_url": "http://127.0.0.1:9/v1"}}
    experiment = parse_experiment(
        {"name": "mine", "task": "phone_messages", "student": {"model": "served"}, "models": models}
    )
    load = Loader()
    asking.student_model(LESSON.model_copy(update={"student": student}), student, False, experiment, load)
    assert load.asked == [("served", {"endpoint": experiment.models["served"].endpoint("served")})]


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("call now", {"text": "call now"}),
        ('{"text": "call now", "more": 1}', {"text": "call now"}),
        ("{call} now", {"text": "{call} now"}),
        ("[1]", {"text": "[1]"}),
        (" two\nlines ", {"text": "two lines"}),
    ],
)
def test_one_question_is_a_text_or_an_object(text: str, fields: dict[str, str]) -> None:
    assert [question.fields for question in asking.one_question(SMS, text)] == [fields]


def test_a_question_of_several_fields_is_an_object() -> None:
    (question,) = asking.one_question(BOOLQ, '{"passage": "a\\nb", "question": "is it"}')
    assert question.fields == {"passage": "a b", "question": "is it"}
    with pytest.raises(ConfigError, match="has several fields: give a JSON object with the keys passage, question"):
        asking.one_question(BOOLQ, "is it")
    with pytest.raises(DataError, match="the question, row 1, field 'question': no such column"):
        asking.one_question(BOOLQ, '{"passage": "a"}')


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.jsonl", '{"text": "one"}\n\n{"text": "two", "answer": "spam"}\n'),
        ("q.csv", 'text,other\none,1\n\n"two",2\n'),
        ("q.txt", 'one\n\n{"text": "two"}\n'),
        ("q.tsv", "other\ttext\n1\tone\n\n2\ttwo\n"),
    ],
)
def test_questions_come_from_files_of_data(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    questions = asking.questions_of_file(SMS, str(tmp_path / name))
    first = 1 if name in ("q.jsonl", "q.txt") else 2
    assert questions == [Question(first, {"text": "one"}), Question(first + 2, {"text": "two"})]


def test_a_bad_row_is_named_and_not_quoted(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    for line, told in [
        ("{}", "field 'text': no such column"),
        ('{"text": " "}', "field 'text': empty"),
        ('{"text": null}', "field 'text': missing"),
        ('{"text": ["secret"]}', "field 'text': a list, not text"),
        ("secret", "broken JSON"),
    ]:
        file.write_text(f'{{"text": "fine"}}\n{line}\n')
        with pytest.raises(DataError, match=f"q.jsonl, row 2[,:].*{told}") as caught:
            asking.questions_of_file(SMS, str(file))
        assert "secret" not in str(caught.value)


def test_lines_of_standard_input_are_questions() -> None:
    lines = b'call now\n\n{"text": "win", "id": 3}\n{odd\n'
    assert asking.questions_of_lines(SMS, lines) == [
        Question(1, {"text": "call now"}),
        Question(3, {"text": "win"}),
        Question(4, {"text": "{odd"}),
    ]
    with pytest.raises(DataError, match="standard input, row 2: broken JSON"):
        asking.questions_of_lines(BOOLQ, b'{"passage": "a", "question": "q"}\nsecret\n')
    with pytest.raises(DataError, match="standard input: holds no question"):
        asking.questions_of_lines(SMS, b"\n \n")
    with pytest.raises(DataError, match="standard input, row 2: not UTF-8"):
        asking.questions_of_lines(SMS, b"fine\n\xff\n")


def test_a_text_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.txt: cannot be read: No such file"):
        asking.questions_of_file(SMS, str(tmp_path / "absent.txt"))
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(DataError, match=r"empty\.txt: holds no question"):
        asking.questions_of_file(SMS, str(tmp_path / "empty.txt"))


def test_replies_are_counted_by_kind() -> None:
    replies = [Reply(1, "a", None), Reply(2, None, "unparsed"), Reply(3, None, "refused"), Reply(4, None, "unparsed")]
    assert asking.counted(replies) == "4 questions: 1 answered, 2 unparsed, 1 refused"
    assert asking.counted(replies[:1]) == "1 question: 1 answered"


def test_a_question_shows_nothing_of_itself() -> None:
    assert "secret" not in repr(Question(1, {"text": "secret"})) + repr(Reply(1, "secret", None))


def test_all_questions_are_asked_at_once_and_failures_have_their_kind() -> None:
    lesson = Lesson(task=GSM8K, instruction="Reckon.")
    questions = [Question(2, {"question": "3*4?"}), Question(5, {"question": "2*2?"})]
    student = TESTED.model_copy(update={"model": "speaker"})
    model = Speaker("#### 12")
    assert asking.asked(lesson, student, model, questions) == [Reply(2, "12", None), Reply(5, "12", None)]
    assert model.calls == [[lesson.prompt(question.fields) for question in questions]]
    assert asking.asked(lesson, student, Speaker("dunno"), questions[:1]) == [Reply(2, None, "unparsed")]


def test_the_lesson_of_a_run_answers_as_it_was_tested_and_an_edit_is_told(tmp_path: Path) -> None:
    fake = {"model": "fake:mixer"}
    table = {"name": "t", "task": "phone_messages", "arms": ["zero-shot", "generated"], "shots": [4], "repeats": 2}
    experiment = parse_experiment({**table, "data": {"test_rows": 40}, "teachers": fake, "student": fake})
    result = run(experiment, tmp_path / "run")
    test = load_corpus(experiment).test
    key = CellKey("generated", 4, 1)
    cell = tmp_path / "run" / "cells" / key.name
    lesson = Lesson.load(cell)
    questions = [Question(number, example.fields) for number, example in enumerate(test)]
    replies = asking.asked(lesson, asking.chosen(lesson, Wishes()), MixerModel("fake:mixer"), questions)
    right = [reply.answer == example.answer for reply, example in zip(replies, test, strict=True)]
    assert sum(right) / len(right) == result.arms[1].accuracies[1]

    assert asking.edited(cell) is None
    assert asking.edited(cell / ".." / key.name / "lesson.json") is None
    stored = json.loads((cell / "lesson.json").read_text())
    (cell / "lesson.json").write_text(json.dumps({**stored, "instruction": "Say spam."}))
    told = f"cells/{key.name}/lesson.json was changed after it was written"
    assert asking.edited(cell) == asking.edited(cell / "lesson.json") == told
    (tmp_path / "run" / "manifest.json").unlink()
    assert (asking.edited(cell) or "").startswith("manifest.json is missing")
    (tmp_path / "alone.json").write_text(lesson.to_json())
    assert asking.edited(tmp_path / "alone.json") is None
