"""Drafts: the new examples that a teacher's model writes after private ones, before any of them may leave the silo."""

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from social_learning.answer import Answer
from social_learning.cloze import gains, gaps_in, style_of
from social_learning.errors import ModelError, TaskError
from social_learning.lesson import Lesson
from social_learning.messages import RequestExamples
from social_learning.models.base import Completion, LanguageModel, Sampling
from social_learning.student import Student
from social_learning.task import ANSWER, SEPARATOR, Example, Task

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class DraftPrompt:
    """What a teacher's model continues with new examples, and the label each is to have; None where it writes that too."""

    text: str = field(repr=False)
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A new example before it may leave: its perplexity, and the private prompt it was written after. `gain`: by how much the whole
    text makes the word of its gap likelier than the last few words do (difference of natural logs); 0 where no gap was set.
    """

    example: Example
    perplexity: float
    prompt: str = field(repr=False)
    gain: float = 0.0


class DraftWriter:
    """A teacher's model at work on one request: it writes drafts, checks them, and says which are best.

    `private` are the examples its silo teaches from, `shots` those of them that stand in for a lesson where the model
    answers as a student. What is dropped is counted in `discarded`, by reason.

    Raises ModelError where the task does not allow what is asked, before the model works for it.
    """

    def __init__(
        self,
        request: RequestExamples,
        task: Task,
        model: LanguageModel,
        private: Sequence[Example],
        shots: Sequence[Example],
    ) -> None:
        if request.way == "label-first" and not task.can_label_first:
            raise ModelError(f"task {task.name!r} cannot be told label first: its answer has no line of its own")
        if request.self_check and not task.labels:
            raise ModelError(f"self-check needs a task with labels, and task {task.name!r} has none")
        self._request, self._task, self._model = request, task, model
        self._private, self._shots = private, shots
        self.discarded = Counter[str]()

    def write(self, prompts: Sequence[DraftPrompt], seed: int) -> list[Draft]:
        """Sample continuations of prompts and read examples from them; malformed, cut off and repeated ones are discarded, and
        what a filter withheld.
        """
        samples = max(1, self._request.samples // len(prompts))
        rows = self._model.generate([prompt.text for prompt in prompts], self._sampling(seed), samples)
        written = [(prompt, completion) for prompt, row in zip(prompts, rows, strict=True) for completion in row]
        completions = [completion for _, completion in written]
        examples = [self._read(completion.text, prompt.label) for prompt, completion in written]
        cut_off = [
            example is not None and completion.finish == "length" and self._reads_on(completion, prompt.label, example)
            for (prompt, completion), example in zip(written, examples, strict=True)
        ]
        gained = [0.0] * len(examples)
        if self._request.cloze:
            examples, gained = self._with_gaps(completions, examples)
        if self._request.complete:
            examples = self._completed(completions, examples)
        drafts, seen = [], set()
        for (prompt, completion), example, cut, gain in zip(written, examples, cut_off, gained, strict=True):
            key = None if example is None else self._task.render(example)
            if example is None:
                self.discarded["refused" if completion.finish == "refused" else "malformed"] += 1
            elif cut:
                self.discarded["cut_off"] += 1
            elif key in seen:
                self.discarded["repeated"] += 1
            else:
                drafts.append(Draft(example, completion.perplexity, prompt.text, gain))
            seen.add(key)
        return drafts

    def self_checked(self, drafts: Sequence[Draft]) -> list[Draft]:
        """Keep the drafts to which the model, as a student of the private shots, gives the label that they carry."""
        answers = self._answers([draft.example.fields for draft in drafts])
        agreed = [draft for draft, answer in zip(drafts, answers, strict=True) if answer.text == draft.example.answer]
        self.discarded["self_check"] += len(drafts) - len(agreed)
        return agreed

    def best(self, drafts: Sequence[Draft]) -> list[Draft]:
        """The `count` drafts of highest gain, and else of lowest perplexity; in turn from each label where they were written label
        first.
        """
        ordered = sorted(drafts, key=lambda draft: (-draft.gain, draft.perplexity))
        if self._request.way == "plain":
            return ordered[: self._request.count]
        piles = [[draft for draft in ordered if draft.example.answer == label] for label in self._task.labels]
        return in_turn(piles)[: self._request.count]

    def _sampling(self, seed: int) -> Sampling:
        return Sampling(
            temperature=self._request.temperature,
            top_p=self._request.top_p,
            max_tokens=self._task.max_example_tokens,
            stop=self._stops(),
            seed=seed,
        )

    def _stops(self) -> tuple[str, ...]:
        """What ends a new example: its line, where it is asked for label first and has only one; else a blank line,
        unless the format has one inside.
        """
        label_first = self._request.way == "label-first"
        text = self._task.label_first_question if label_first else self._task.template
        if label_first and "\n" not in text and not self._task.multiline:
            return ("\n",)
        return () if SEPARATOR in text.removeprefix(self._task.opening) else (SEPARATOR,)

    # What a completion says

    def _read(self, written: str, label: str | None) -> Example | None:
        text = self._task.opening + written
        return self._task.parse(text) if label is None else self._task.parse_label_first(text, label)

    def _reads_on(self, completion: Completion, label: str | None, example: Example) -> bool:
        """Whether the text that was cut off would have been another example, had it gone on."""
        return self._read(completion.text + "x", label) != example

    def _with_gaps(
        self, completions: Sequence[Completion], examples: Sequence[Example | None]
    ) -> tuple[list[Example | None], list[float]]:
        """Set the gap in drafts that have none, at the place of highest gain; the last word of one that was cut off may not be
        whole. Returns gains as well, 0 where no gap was set.
        """
        style = style_of(self._task, self._private)
        texts = [c.text.rpartition(" ")[0] if c.finish == "length" else c.text for c in completions]
        questions = [self._task.parse_question(self._task.opening + text) for text in texts]
        gaps = [
            (number, gap)
            for number, (fields, example) in enumerate(zip(questions, examples, strict=True))
            if example is None and fields
            for gap in gaps_in(self._task, fields, style)
        ]
        gapped, most = list(examples), [0.0] * len(examples)
        for (number, gap), gain in zip(gaps, gains(self._model, [gap for _, gap in gaps]), strict=True):
            if gapped[number] is None or gain > most[number]:
                gapped[number], most[number] = gap.example, gain
        return gapped, most

    def _completed(self, completions: Sequence[Completion], examples: Sequence[Example | None]) -> list[Example | None]:
        """Have the model answer drafts that ended before their answer, as a student of the private shots."""
        questions = {
            number: fields
            for number, (completion, example) in enumerate(zip(completions, examples, strict=True))
            if example is None and (fields := self._unanswered(completion)) is not None
        }
        completed = list(examples)
        for (number, fields), answer in zip(questions.items(), self._answers([*questions.values()]), strict=True):
            with contextlib.suppress(TaskError):
                completed[number] = self._task.example({**fields, ANSWER: answer.text})
        return completed

    def _unanswered(self, completion: Completion) -> dict[str, str] | None:
        """Read a question without its answer."""
        if completion.finish == "length":
            return None
        return self._task.parse_question(self._task.opening + completion.text)

    def _answers(self, questions: Sequence[dict[str, str]]) -> list[Answer]:
        if not questions:
            return []
        lesson = Lesson(task=self._task, examples=tuple(self._shots))
        return Student(self._model, lesson).answers(questions)


def in_turn(piles: Sequence[Sequence[Item]]) -> list[Item]:
    """Return the first of each pile, then the second of each that has one, and so on."""
    return [pile[turn] for turn in range(max(map(len, piles), default=0)) for pile in piles if turn < len(pile)]
