"""Labels: which a text starts with, accents in both forms, and labels that begin alike."""

import math
import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from social_learning.errors import TaskError
from social_learning.judge import Judge
from social_learning.labels import begin_alike, label_at_start
from social_learning.lesson import Lesson
from social_learning.models.base import Prompt, Score
from social_learning.models.fakes import CopycatModel, FakeModel
from social_learning.student import Student
from social_learning.task import SEPARATOR, Example, Task
from social_learning.tasks import BUILT_IN

PARTLY = Task(
    name="reviews", template="Review: {review}\nVerdict: {answer}", labels=("yes", "yes, partly"), metric="labels"
)
ACCENTS = Task(
    name="états", template="Texte: {text}\nÉtat: {answer}", labels=("gelé", "dégelé", "naïf à côté"), metric="labels"
)
FORMS = ("NFC", "NFD", "NFKC", "NFKD")

every_form = pytest.mark.parametrize("form", FORMS)


def written(form: str, text: str) -> str:
    return unicodedata.normalize(form, text)  # type: ignore[arg-type]


@every_form
@pytest.mark.parametrize("label", ACCENTS.labels)
def test_accents_count_as_the_same_in_either_form(form: str, label: str) -> None:
    other = written(form, label)
    example = ACCENTS.example({"text": "a", "answer": other.upper()})
    assert example.answer == label
    assert ACCENTS.parse_answer(f" {other}, bien sûr") == label
    assert ACCENTS.parse(f"Texte: a\nÉtat: {other}") == example
    assert Task(**{**ACCENTS.model_dump(), "labels": (other, "non")}).correct(
        other, Example(fields={"text": "a"}, answer=label)
    )


def test_labels_that_differ_by_the_form_of_accents_alone_are_refused() -> None:
    with pytest.raises(TaskError, match="differ by more than case and the form of accents"):
        ACCENTS.variant(labels=("gelé", written("NFD", "Gelé")))


def test_exact_answers_are_the_same_in_either_form() -> None:
    task = Task(name="mots", template="{text}: {answer}")
    assert task.correct(written("NFD", "été"), task.example({"text": "a", "answer": "été"}))


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("yes", "yes"),
        ("Yes, partly.", "yes, partly"),
        ("yes, partlyish", "yes"),
        ("yes, in full", "yes"),
        ("yesterday", None),
        ("yes\u0301", None),
        ("", None),
    ],
)
def test_the_longest_label_is_read(text: str, label: str | None) -> None:
    assert label_at_start(text, PARTLY.labels) == label
    assert label_at_start(text, PARTLY.labels[::-1]) == label


@given(st.lists(st.text("ab, é", min_size=1, max_size=5).map(str.strip).filter(bool), min_size=2, max_size=4))
def test_labels_begin_alike_where_one_is_the_beginning_of_another(labels: list[str]) -> None:
    assert begin_alike(labels) == any(a != b and a.startswith(b) for a in labels for b in labels)


class TokenChain(FakeModel):
    """Gives every text the product of what its pieces have: a true distribution, in which a longer text is never likelier than
    its beginning. It finds `after_yes` how likely a text that began with "yes" ends there.
    """

    def __init__(self, after_yes: float) -> None:
        super().__init__("chain")
        self.after_yes = after_yes
        self.pairs: list[tuple[Prompt, str]] = []

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        self.pairs += pairs
        return [Score(self._logprob(continuation), len(continuation.split()), False) for _, continuation in pairs]

    def _logprob(self, text: str) -> float:
        logprob = math.log(0.5) if "yes" in text else math.log(0.1)
        if ", partly" in text:
            return logprob + math.log(1 - self.after_yes)
        return logprob + (math.log(self.after_yes) if text.endswith(SEPARATOR) else 0.0)


@pytest.mark.parametrize("calibrate", [False, True])
def test_the_longer_of_labels_that_begin_alike_can_win(calibrate: bool) -> None:
    """Without an end mark "yes" is at least as likely as whatever begins with it."""

    class Told(TokenChain):
        def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
            scores = []
            for prompt, continuation in pairs:
                self.after_yes = 0.2 if "broke" in str(prompt) else 0.8 if "boils" in str(prompt) else 0.5
                scores += super().score([(prompt, continuation)])
            return scores

    student = Student(Told(0.5), Lesson(task=PARTLY, instruction="Decide."), calibrate=calibrate)
    asked = [{"review": "the zip broke"}, {"review": "the kettle boils"}]
    assert [answer.text for answer in student.answers(asked)] == ["yes, partly", "yes"]


def test_every_score_of_a_label_that_begins_another_one_ends_where_the_label_ends() -> None:
    """A student's choice, calibrated or not, a teacher's grades, and its votes by likelihood."""
    model, row = TokenChain(0.5), Example(fields={"review": "it broke"}, answer="yes")
    lesson = Lesson(task=PARTLY, examples=(row,))
    Student(model, lesson).answers([row.fields])
    Student(model, lesson).grades([row])
    Judge(PARTLY, model, [row]).grades([[row]], 1, "likelihood")
    Judge(PARTLY, model, [row]).marks([row], "likelihood")
    assert model.pairs
    assert all(continuation.endswith(SEPARATOR) for _, continuation in model.pairs)


@pytest.mark.parametrize("known", BUILT_IN.values(), ids=BUILT_IN)
def test_the_built_in_tasks_are_scored_as_they_were(known: object) -> None:
    task: Task = known.task  # type: ignore[attr-defined]
    assert task.label_end == ""
    assert [task.scored_label(label) for label in task.labels] == [task.continuation(label) for label in task.labels]


def test_a_fake_that_was_shown_labels_knows_where_they_end() -> None:
    shots = [
        Example(fields={"review": f"it {word}"}, answer=label)
        for word, label in zip(("broke", "boils"), PARTLY.labels, strict=True)
    ]
    student = Student(CopycatModel("m"), Lesson(task=PARTLY, examples=tuple(shots)), calibrate=False)
    assert [answer.text for answer in student.answers([shot.fields for shot in shots])] == list(PARTLY.labels)
