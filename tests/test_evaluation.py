"""Evaluation: a student on held-out examples, row by row."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from social_learning.answer import Answer
from social_learning.corpus import Corpus
from social_learning.errors import EvaluationError
from social_learning.evaluation import CHUNK, Evaluation, evaluate
from social_learning.lesson import Lesson
from social_learning.models.fakes import CopycatModel
from social_learning.student import Student
from social_learning.task import Example
from social_learning.tasks import BUILT_IN

SMS = BUILT_IN["sms_spam"].task
GSM8K = BUILT_IN["gsm8k"].task


def student_who(*answers: str | None) -> Student:
    """A student that gives these answers, in order, whatever it is asked; None where it cannot be read."""
    left = list(answers)

    def give(questions: Sequence[Mapping[str, str]]) -> list[Answer]:
        return [Answer.read(left.pop(0)) for _ in questions]

    return cast("Student", SimpleNamespace(answers=give))


def rows(*answers: str) -> list[Example]:
    return [Example(fields={"text": f"row {i}"}, answer=answer) for i, answer in enumerate(answers)]


def test_each_row_comes_out_correct_wrong_or_unparsed() -> None:
    evaluation = evaluate(
        student_who("spam", "spam", None, "not spam"), SMS, rows("spam", "not spam", "spam", "not spam")
    )
    assert evaluation.outcomes == ("correct", "wrong", "unparsed", "correct")
    assert evaluation.accuracy == 0.5
    assert evaluation.unparsed == 1
    assert evaluation.graded == [1, 0, 0, 1]


def test_numbers_are_graded_as_numbers() -> None:
    test = [Example(fields={"question": "q"}, answer="so\n#### 1,200")] * 3
    assert evaluate(student_who("1200.0", "12", None), GSM8K, test).outcomes == ("correct", "wrong", "unparsed")


def test_the_accuracy_of_nothing_is_an_error() -> None:
    empty = evaluate(student_who(), SMS, [])
    assert empty == Evaluation(())
    with pytest.raises(EvaluationError, match="no test rows were answered"):
        _ = empty.accuracy
    assert (empty.unparsed, empty.graded) == (0, [])


def test_rows_are_asked_in_chunks_and_progress_is_told() -> None:
    test = rows(*["spam"] * (2 * CHUNK + 3))
    told: list[tuple[int, int]] = []
    answers = ["spam" if i % 3 else "not spam" for i in range(len(test))]
    evaluation = evaluate(student_who(*answers), SMS, test, lambda done, total: told.append((done, total)))
    assert told == [(CHUNK, len(test)), (2 * CHUNK, len(test)), (len(test), len(test))]
    assert evaluation.graded == [int(answer == "spam") for answer in answers]


def test_an_answer_for_every_question_or_an_error() -> None:
    class Hasty(Student):
        def answers(self, questions: Sequence[Mapping[str, str]]) -> list[Answer]:
            return [Answer("spam")]

    with pytest.raises(ValueError, match="longer"):
        evaluate(Hasty(CopycatModel("m"), Lesson(task=SMS)), SMS, rows("spam", "spam"))


def test_evaluations_hold_no_text(phone_messages: Corpus) -> None:
    student = Student(CopycatModel("fake:copycat"), Lesson(task=phone_messages.task, examples=phone_messages.train[:4]))
    evaluation = evaluate(student, phone_messages.task, phone_messages.test)
    assert len(evaluation.outcomes) == 120
    assert set(evaluation.outcomes) <= {"correct", "wrong", "unparsed"}
    assert 0.3 < evaluation.accuracy < 1.0
    assert not any(example.fields["text"] in repr(evaluation) for example in phone_messages.test)
