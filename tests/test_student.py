"""Students: a lesson and a model answer questions."""

import math
from collections.abc import Callable, Sequence

import pytest

from social_learning.answer import Answer
from social_learning.corpus import Corpus
from social_learning.errors import ModelError
from social_learning.lesson import AnswerMode, Lesson
from social_learning.models.base import Completion, Prompt, Sampling, Score
from social_learning.models.fakes import CopycatModel, FakeModel, MixerModel
from social_learning.student import CONTENT_FREE, WORD_SALADS, Student
from social_learning.task import Example, Task
from social_learning.tasks import BUILT_IN

SMS = BUILT_IN["sms_spam"].task
GSM8K = BUILT_IN["gsm8k"].task


class Oracle(FakeModel):
    """Says and likes what two functions of the question tell it to; keeps what it was asked."""

    def __init__(
        self, says: Callable[[str], str] = str, likes: Callable[[str, str], float] = lambda question, label: -1.0
    ) -> None:
        super().__init__("oracle")
        self._says, self._likes = says, likes
        self.prompts: list[Prompt] = []
        self.samplings: list[Sampling] = []
        self.pairs: list[tuple[Prompt, str]] = []

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        self.prompts += prompts
        self.samplings.append(sampling)
        return [[Completion(self._says(question(prompt)), (-1.0,), "stop")] for prompt in prompts]

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        self.pairs += pairs
        return [Score(self._likes(question(prompt), label.strip()), 1, False) for prompt, label in pairs]


def question(prompt: Prompt) -> str:
    """The last block of a prompt, without the words around the question."""
    return str(prompt).rpartition("\n\n")[2].removeprefix("Text: ").removesuffix("\nClass:")


def texts_of(student: Student, questions: Sequence[dict[str, str]]) -> list[str | None]:
    """What a student answers; None where there is no answer."""
    return [answer.text for answer in student.answers(questions)]


def asks(*texts: str) -> list[dict[str, str]]:
    return [{"text": text} for text in texts]


def test_labels_are_chosen_by_likelihood() -> None:
    model = Oracle(likes=lambda question, label: -1.0 if (label == "spam") == ("cash" in question) else -2.0)
    lesson = Lesson(task=SMS, instruction="Decide.")
    assert texts_of(Student(model, lesson, calibrate=False), asks("win cash", "hello")) == ["spam", "not spam"]
    prompt = "Decide.\n\nText: win cash\nClass:"
    assert model.pairs[:2] == [(prompt, " spam"), (prompt, " not spam")]
    assert model.prompts == []


def test_long_labels_are_scored_as_a_whole() -> None:
    model = Oracle(likes=lambda _, label: {"spam": -1.2, "not spam": -1.1}[label])
    assert Student(model, Lesson(task=SMS), calibrate=False).answer({"text": "a"}) == "not spam"


def test_a_free_answer_is_greedy_and_read_by_the_task() -> None:
    model = Oracle(says=lambda question: " Spam, surely\n" if "cash" in question else "no idea")
    student = Student(model, Lesson(task=SMS), answer_by="free")
    assert texts_of(student, asks("cash", "hello")) == ["spam", None]
    assert model.prompts == ["Text: cash\nClass:", "Text: hello\nClass:"]
    (sampling,) = model.samplings
    assert (sampling.temperature, sampling.max_tokens, sampling.stop) == (0.0, SMS.max_answer_tokens, ("\n",))


def test_tasks_without_labels_are_answered_freely() -> None:
    model = Oracle(says=lambda _: "3*4 = 12\n#### 12")
    assert texts_of(Student(model, Lesson(task=GSM8K)), [{"question": "3*4?"}]) == ["12"]
    assert model.samplings[0].stop == ("\n\n",)


@pytest.mark.parametrize("calibrate", [False, True])
def test_choosing_needs_labels(calibrate: bool) -> None:
    with pytest.raises(ModelError, match="task 'gsm8k' has no labels to choose from: let the student answer freely"):
        Student(Oracle(), Lesson(task=GSM8K), answer_by="labels", calibrate=calibrate)


@pytest.mark.parametrize(("task", "answer_by"), [(GSM8K, "auto"), (GSM8K, "free"), (SMS, "free")])
def test_free_answers_have_nothing_to_calibrate(task: Task, answer_by: AnswerMode) -> None:
    model = Oracle()
    Student(model, Lesson(task=task), answer_by=answer_by, calibrate=True).answer(dict.fromkeys(task.field_names, "a"))
    assert (len(model.prompts), model.pairs) == (1, [])


def biased(question: str, label: str) -> float:
    """Prefers spam by 3, whatever it is asked; and by 1 what the question speaks for."""
    return 3.0 * (label == "spam") + 1.0 * (question == label)


def test_calibration_takes_a_lessons_bias_away() -> None:
    questions = asks("spam", "not spam")
    assert texts_of(Student(Oracle(likes=biased), Lesson(task=SMS), calibrate=False), questions) == ["spam", "spam"]
    model = Oracle(likes=biased)
    assert texts_of(Student(model, Lesson(task=SMS)), questions) == ["spam", "not spam"]
    asked = [question(prompt) for prompt, _ in model.pairs]
    assert asked == [text for text in (*CONTENT_FREE, "spam", "not spam") for _ in SMS.labels]


SHOTS = (
    Example(fields={"text": "win cash now or never"}, answer="spam"),
    Example(fields={"text": "see you at nine then ok"}, answer="not spam"),
    Example(fields={"text": "ok"}, answer="not spam"),
)


def salads(seed: int) -> list[str]:
    """What a student with examples asks before its question."""
    model = Oracle()
    Student(model, Lesson(task=SMS, examples=SHOTS), seed=seed).answer({"text": "the question"})
    asked = [question(prompt) for prompt, _ in model.pairs][:: len(SMS.labels)]
    assert asked.pop() == "the question"
    return asked


def test_a_lesson_with_examples_is_calibrated_on_their_words_in_random_order() -> None:
    asked = salads(1)
    known = {word for shot in SHOTS for word in shot.fields["text"].split()}
    assert len(asked) == WORD_SALADS
    assert all(len(text.split()) == 4 for text in asked)  # 12 words in 3 examples
    assert {word for text in asked for word in text.split()} <= known
    assert len(set(asked)) > WORD_SALADS // 2
    assert salads(1) == asked
    assert salads(2) != asked


def test_the_bias_of_a_lesson_with_examples_is_taken_away() -> None:
    lesson = Lesson(task=SMS, examples=SHOTS)
    questions = asks("spam", "not spam")
    assert texts_of(Student(Oracle(likes=biased), lesson, calibrate=False), questions) == ["spam", "spam"]
    assert texts_of(Student(Oracle(likes=biased), lesson), questions) == ["spam", "not spam"]


def test_every_field_has_words_of_its_own_kind() -> None:
    known = BUILT_IN["boolq"]
    model = Oracle()
    Student(model, Lesson(task=known.task, examples=(known.invented,))).answer(known.invented.fields)
    passage, asked, answer = str(model.pairs[0][0]).rpartition("\n\n")[2].split("\n")
    assert sorted(set(passage.split()) - set(known.invented.fields["passage"].split())) == []
    assert sorted(set(asked.removeprefix("Question: ").split()) - set(known.invented.fields["question"].split())) == []
    assert answer == "Answer:"


def test_calibration_is_that_of_the_paper() -> None:
    """Label probabilities divided by their mean over content-free inputs (Zhao et al., arXiv 2102.09690)."""
    blank = {"N/A": -0.1, "[MASK]": -2.0, "-": -0.7}

    def likes(question: str, label: str) -> float:
        return blank.get(question, -0.4) if label == "spam" else -1.0

    shares = [math.exp(value) / (math.exp(value) + math.exp(-1.0)) for value in blank.values()]
    mean = sum(shares) / len(shares)
    expected = "spam" if math.exp(-0.4) / mean > math.exp(-1.0) / (1 - mean) else "not spam"
    assert Student(Oracle(likes=likes), Lesson(task=SMS)).answer({"text": "a"}) == expected


def test_calibration_fills_every_field() -> None:
    task = BUILT_IN["boolq"].task
    model = Oracle()
    Student(model, Lesson(task=task), calibrate=True).answer({"passage": "p", "question": "q"})
    assert model.pairs[0][0] == "N/A\nQuestion: N/A\nAnswer:"


def test_no_questions_have_no_answers() -> None:
    for answer_by in ("labels", "free"):
        for calibrate in (False, True):
            assert texts_of(Student(Oracle(), Lesson(task=SMS), answer_by=answer_by, calibrate=calibrate), []) == []


def test_a_lesson_helps_a_model_that_copies(phone_messages: Corpus) -> None:
    shots = phone_messages.train[:8]
    student = Student(CopycatModel("fake:copycat"), Lesson(task=phone_messages.task, examples=shots), answer_by="free")
    assert texts_of(student, [shot.fields for shot in shots]) == [shot.answer for shot in shots]


@pytest.mark.parametrize("task", [SMS, SMS.variant(template="{text} ={answer}")])
def test_the_label_goes_on_where_the_prompt_ends(task: Task) -> None:
    model = Oracle()
    Student(model, Lesson(task=task), calibrate=False).answer({"text": "hello"})
    whole = [str(prompt) + label for prompt, label in model.pairs]
    assert whole == [task.template.format(text="hello", answer=label) for label in task.labels]


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        (Completion(" spam", (-1.0,), "stop"), Answer("spam")),
        (Completion(" spam", (-1.0,), "length"), Answer("spam")),
        (Completion(" no idea", (-1.0,), "stop"), Answer(failure="unparsed")),
        (Completion(" ", (-1.0,), "length"), Answer(failure="unparsed")),
        (Completion(" \n", (-1.0,), "stop"), Answer(failure="missing")),
        (Completion("", (), "missing"), Answer(failure="missing")),
        (Completion("", (), "refused"), Answer(failure="refused")),
    ],
)
def test_no_answer_is_told_apart_by_why_there_is_none(completion: Completion, answer: Answer) -> None:
    class Says(FakeModel):
        def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
            return [[completion] for _ in prompts]

    student = Student(Says("m"), Lesson(task=SMS), answer_by="free")
    assert student.answers(asks("hello")) == [answer]
    assert student.answer({"text": "hello"}) == answer.text


def test_a_lesson_without_a_tested_student_builds_none() -> None:
    with pytest.raises(ModelError, match="does not say which student was tested"):
        Student.tested(Lesson(task=SMS), Oracle())


def test_the_tested_student_answers_as_the_lesson_says() -> None:
    told = {"model": "m", "identity": "m", "answer_by": "free", "calibrate": False, "seed": 0}
    free = Lesson.model_validate({"task": SMS, "student": told})
    labels = Lesson.model_validate({"task": SMS, "student": {**told, "answer_by": "labels"}})
    model = Oracle(says=lambda _: "spam", likes=lambda _, continuation: -1.0 * ("not" not in continuation))
    assert Student.tested(free, model).answer({"text": "a"}) == "spam"
    assert Student.tested(labels, model).answer({"text": "a"}) == "not spam"


def test_the_labels_log_probabilities_come_with_the_answer() -> None:
    """Among all labels, calibrated; the likeliest one is the answer, and they add up to 1."""
    student = Student(MixerModel("m"), Lesson(task=SMS, examples=SHOTS), seed=3)
    question = {"text": "win a prize"}
    (answer,) = student.answers([question])
    assert set(answer.logprobs) == set(SMS.labels)
    assert sum(map(math.exp, answer.logprobs.values())) == pytest.approx(1)
    assert answer.text == max(answer.logprobs, key=lambda label: answer.logprobs[label])
    grades = [student.grades([Example(fields=question, answer=label)])[0] for label in SMS.labels]
    assert [math.exp(answer.logprobs[label]) for label in SMS.labels] == pytest.approx(grades)
    assert "win" not in repr(answer)
    assert (
        Student(MixerModel("m"), Lesson(task=SMS, examples=SHOTS), answer_by="free").answers([question])[0].logprobs
        == {}
    )
