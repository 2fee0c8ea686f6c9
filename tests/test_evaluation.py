"""Evaluation: a student on held-out examples, row by row."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from social_learning.answer import Answer
from social_learning.corpus import Corpus
from social_learning.errors import BudgetError, EvaluationError
from social_learning.evaluation import CHUNK, FAILURES, Evaluation, Failure, evaluate
from social_learning.lesson import Lesson
from social_learning.models.fakes import CopycatModel, FailingModel
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


def failing(**failures: Failure) -> Student:
    """A student that answers freely, and fails in each way at the questions that hold its word."""

    def fails(prompt: str) -> Failure | None:
        asked = prompt.rpartition("\n\n")[2]
        return next((failure for word, failure in failures.items() if word in asked), None)

    lesson = Lesson(task=SMS, examples=(Example(fields={"text": "what"}, answer="spam"),))
    return Student(FailingModel(CopycatModel("m"), fails), lesson, answer_by="free")


FAILING = rows("spam", "not spam", "spam", "spam", "spam")
FAILS: dict[str, Failure] = {"2": "unparsed", "3": "refused", "4": "missing"}


def test_each_failure_is_counted_apart_and_none_is_a_wrong_answer() -> None:
    evaluation = evaluate(failing(**FAILS), SMS, FAILING)
    assert evaluation.outcomes == ("correct", "wrong", "unparsed", "refused", "missing")
    assert evaluation.failures == {"unparsed": 1, "refused": 1, "missing": 1, "over_budget": 0}
    assert (evaluation.accuracy, evaluation.readable, evaluation.readable_accuracy) == (0.2, 2, 0.5)
    assert failing(**FAILS).answer(FAILING[3].fields) is None


def test_a_budget_that_ends_on_the_way_leaves_no_evaluation_unless_a_part_is_asked_for() -> None:
    student = failing(**{**FAILS, "1": "over_budget"})
    with pytest.raises(BudgetError):
        evaluate(student, SMS, FAILING)
    evaluation = evaluate(student, SMS, FAILING, partial=True)
    assert evaluation.outcomes == ("correct", "over_budget", "unparsed", "refused", "missing")
    assert set(evaluation.failures) == set(FAILURES)
    assert evaluation.readable_accuracy == 1.0
    nothing = evaluate(failing(row="over_budget"), SMS, FAILING, partial=True)
    assert set(nothing.outcomes) == {"over_budget"}
    assert nothing.readable_accuracy is None


@pytest.mark.parametrize("text", [None, "spam"])
def test_an_answer_is_a_text_or_a_failure_and_shows_no_text(text: str | None) -> None:
    with pytest.raises(ValueError, match="either a text or a failure"):
        Answer(text, None if text is None else "missing")
    assert repr(Answer("my secret")) == "Answer(failure=None)"
