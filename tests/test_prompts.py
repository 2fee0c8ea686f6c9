"""Prompts: every word that is sent to a model, held against golden files, one for each built-in task.

The prompts are those that really reach a model when teachers and students play all their parts, with the task's
invented example as the only private one. `<end>` closes a prompt, `<then>` opens a continuation that is scored.
After a wanted change, write the files anew and read what changed:

    PYTHONPATH=src python tests/test_prompts.py
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import pytest

from social_learning.lesson import Lesson
from social_learning.messages import RequestExamples, RequestInstruction, RequestVote
from social_learning.models.base import ChatTurn, Completion, Prompt, Sampling, Score
from social_learning.models.fakes import FakeModel
from social_learning.prompts.instruction import instruction_request
from social_learning.prompts.shots import label_first_prompt, lesson_prompt, new_example_prompt, question_prompt
from social_learning.silo import Silo
from social_learning.student import Student
from social_learning.task import Example
from social_learning.tasks import BUILT_IN
from social_learning.tasks.base import BuiltIn
from social_learning.teacher import Teacher

GOLDEN = Path(__file__).parent / "golden" / "prompts"
END = "<end>"
THEN = "<then>"


class Recorder(FakeModel):
    """Keeps what it is sent; writes the invented example again."""

    def __init__(self, known: BuiltIn) -> None:
        super().__init__("recorder")
        self._text = known.task.render(known.invented).removeprefix(known.task.opening)
        self.sent: list[str] = []

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        self.sent += [shown(prompt) for prompt in prompts]
        text = self._text.partition("\n")[0] if "\n" in sampling.stop else self._text
        return [[Completion(text, (-1.0,), "stop")] * samples for _ in prompts]

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        for prompt, same in groupby(pairs, key=lambda pair: pair[0]):
            self.sent.append(THEN.join([shown(prompt), *(continuation for _, continuation in same)]))
        return [Score(-1.0, 1, False) for _ in pairs]


def shown(prompt: Prompt) -> str:
    return f"(chat) {prompt.content}" if isinstance(prompt, ChatTurn) else prompt


def prompts_sent(known: BuiltIn) -> str:
    """Everything that reaches a model for a task, under a heading for each purpose."""
    task, example = known.task, known.invented
    model = Recorder(known)
    teacher = Teacher(Silo("ann", task, [example], [example]), model, guards=())

    def new_example(way: str, self_check: bool) -> Callable[[], object]:
        request = {"round": 0, "count": 1, "shots": 1, "samples": 1, "way": way, "self_check": self_check}
        return lambda: teacher.answer(RequestExamples.model_validate(request))

    def question(calibrate: bool = False, **lesson: object) -> Callable[[], object]:
        student = Student(model, Lesson.model_validate({"task": task, **lesson}), calibrate=calibrate)
        return lambda: student.answer(example.fields)

    purposes = {"teacher: a new example": new_example("plain", self_check=False)}
    if task.labels:
        purposes["teacher: a new example, checked by the teacher itself"] = new_example("plain", self_check=True)
    if task.can_label_first:
        purposes["teacher: a new example of each class, label first"] = new_example("label-first", self_check=False)
    purposes |= {
        "teacher: a vote": lambda: teacher.answer(RequestVote(round=0, candidates=(example,))),
        "teacher: an instruction": lambda: teacher.answer(RequestInstruction(round=0, shots=1, samples=1)),
        "student: a question without a lesson": question(),
        "student: a question after an instruction": question(instruction=task.instruction),
        "student: a question after examples": question(examples=(example, example)),
        "student: a question after both": question(instruction="Answer like this.", examples=(example,)),
    }
    if task.labels:
        purposes["student: calibration, then a question"] = question(calibrate=True)

    def shuffled(text: str) -> bool:
        """Whether a teacher that checks itself asks this to see its own bias: its words are drawn by chance."""
        prompt, then, _ = text.partition(THEN)
        return "checked" in purpose and bool(then) and not prompt.endswith(task.question(example.fields))

    parts = []
    for purpose, play in purposes.items():
        model.sent.clear()
        play()
        kept = [text for text in model.sent if not shuffled(text)]
        left_out = f"(and {len(model.sent) - len(kept)} more, after questions of shuffled words)\n"
        parts.append(
            f"===== {purpose}\n" + "".join(f"{text}{END}\n" for text in kept) + left_out * (kept != model.sent)
        )
    return "\n".join(parts)


@pytest.mark.parametrize("known", BUILT_IN.values(), ids=BUILT_IN.keys())
def test_the_words_that_reach_a_model_are_the_golden_ones(known: BuiltIn) -> None:
    golden = (GOLDEN / f"{known.task.name}.txt").read_text(encoding="utf-8")
    assert prompts_sent(known) == golden


def test_every_golden_file_belongs_to_a_task() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == set(BUILT_IN)


ODD = Example(fields={"text": "{text} {examples} %s {{x}}"}, answer="spam")
SMS = BUILT_IN["sms_spam"].task


def test_text_that_looks_like_a_template_is_only_text() -> None:
    rendered = "Text: {text} {examples} %s {{x}}\nClass: spam"
    assert rendered in instruction_request(SMS, [ODD])
    assert new_example_prompt(SMS, [ODD]) == f"{rendered}\n\nText:"
    assert (
        question_prompt(SMS, lesson_prompt(SMS, "{text}", [ODD]), ODD.fields)
        == f"{{text}}\n\n{rendered}\n\n{rendered.removesuffix(' spam')}"
    )
    asked = "Class: spam\nText: {text} {examples} %s {{x}}\n\nClass: not spam\nText:"
    assert label_first_prompt(SMS, [ODD], "not spam") == asked


def test_shots_stand_in_the_order_given() -> None:
    shots = [Example(fields={"text": text}, answer="spam") for text in ("one", "two", "three")]
    for prompt in (
        new_example_prompt(SMS, shots),
        label_first_prompt(SMS, shots, "spam"),
        instruction_request(SMS, shots),
    ):
        assert prompt.index("Text: one") < prompt.index("Text: two") < prompt.index("Text: three")


def write_golden() -> None:
    """Write the golden files anew."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for known in BUILT_IN.values():
        (GOLDEN / f"{known.task.name}.txt").write_text(prompts_sent(known), encoding="utf-8")


if __name__ == "__main__":
    write_golden()
