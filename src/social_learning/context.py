"""Context: the rows that fit no prompt, found and named before any model call.

What is refused is certain to fail: a row whose shortest possible prompt is longer than the model's context. A row that fits
beside short ones and not beside long ones is found when it meets them, by the model.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from social_learning.config import Arm, Experiment
from social_learning.corpus import Corpus, place_of
from social_learning.errors import ContextLengthError
from social_learning.models.base import LanguageModel
from social_learning.models.pool import ModelPool
from social_learning.prompts.instruction import instruction_request
from social_learning.prompts.shots import new_example_prompt, question_prompt
from social_learning.recipes import private_examples_needed
from social_learning.results import CellKey
from social_learning.task import SEPARATOR, Example, Task
from social_learning.teacher import INSTRUCTION_TOKENS


@dataclass(frozen=True, slots=True)
class _Use:
    """What a model is to read with a row in it, at the least: `text` of the row, and `new` tokens that it is to write."""

    arm: str
    model: LanguageModel
    kind: str
    rows: Sequence[Example]
    text: Callable[[Example], str]
    new: int


def check_context(
    experiment: Experiment, cells: Iterable[tuple[Arm, CellKey]], corpus: Corpus, models: ModelPool, root: Path | None
) -> None:
    """Refuse test and training rows that do not fit the context of the models of these cells, whatever stands beside them.

    Models are loaded, and count the tokens of long rows only: a text has no more tokens than bytes. `root` is the folder
    of the built-in tasks' data. Raises ContextLengthError that names the first such row by file and number.
    """
    seen = set[tuple[str, str, int]]()
    for arm, key in cells:
        for use in _uses(experiment, arm, key.shots, corpus, models):
            # Repeats read the same rows.
            if (use.arm, use.kind, key.shots) not in seen:
                seen.add((use.arm, use.kind, key.shots))
                _check(use, experiment, root)


def check_training_context(
    experiment: Experiment, arms: Iterable[Arm], corpus: Corpus, models: ModelPool, root: Path | None
) -> None:
    """As `check_context`, of training rows alone: those that teachers of these arms are shown."""
    for arm in arms:
        for use in _shown(arm, max(arm.shots), corpus, models):
            _check(use, experiment, root)


def _uses(experiment: Experiment, arm: Arm, shots: int, corpus: Corpus, models: ModelPool) -> Iterator[_Use]:
    task, student = corpus.task, arm.student
    by_labels = student.answer_by == "labels" or (student.answer_by == "auto" and bool(task.labels))
    label = max(map(task.continuation, task.labels), key=len) if by_labels else ""
    new = 0 if by_labels else task.max_answer_tokens
    lesson = (arm.instruction.text or task.instruction) if arm.method == "manual" else _shortest(task, shots)
    model = models.load(student.model, student.options())
    yield _Use(arm.name, model, "test", corpus.test, lambda row: question_prompt(task, lesson, row.fields) + label, new)
    if experiment.remote is None:
        yield from _shown(arm, shots, corpus, models)


def _shown(arm: Arm, shots: int, corpus: Corpus, models: ModelPool) -> Iterator[_Use]:
    task, others = corpus.task, max(0, private_examples_needed(arm, corpus.task) - 1)
    beside = [_shortest(task, others)] if others else []
    if arm.method == "original":
        lesson = [_shortest(task, shots - 1)] if shots > 1 else []
        model = models.load(arm.student.model, arm.student.options())
        yield _Use(arm.name, model, "training", corpus.train, lambda row: _joined([*lesson, task.render(row)]), 1)
    elif arm.method in ("generated", "voted"):
        model = models.load(arm.teachers.model, arm.teachers.options())
        yield _Use(
            arm.name,
            model,
            "training",
            corpus.train,
            lambda row: _joined([*beside, new_example_prompt(task, [row])]),
            task.max_example_tokens,
        )
    elif arm.method == "instruction":
        model = models.load(arm.teachers.model, arm.teachers.options())
        yield _Use(
            arm.name, model, "training", corpus.train, lambda row: instruction_request(task, [row]), INSTRUCTION_TOKENS
        )


def _shortest(task: Task, shots: int) -> str:
    """The least that so many examples of a task are: the text that opens each."""
    return _joined([task.opening] * shots)


def _joined(parts: Sequence[str]) -> str:
    return SEPARATOR.join(parts)


def _check(use: _Use, experiment: Experiment, root: Path | None) -> None:
    limit = use.model.context_length
    too_long = list[tuple[Example, int]]()
    for row in use.rows:
        text = use.text(row)
        if len(text.encode()) + use.new > limit:
            tokens = use.model.count_tokens(text) + use.new
            if tokens > limit:
                too_long.append((row, tokens))
    if too_long:
        row, tokens = too_long[0]
        more = f" ({len(too_long):,} {use.kind} rows are too long; this is the first)" if len(too_long) > 1 else ""
        raise ContextLengthError(
            f"{place_of(experiment, root, row)}: this {use.kind} row makes a prompt of {tokens:,} tokens or more, and model "
            f"{use.model.name!r} of arm {use.arm!r} has a context of {limit:,}{more}: shorten the row or leave it out, or use "
            "a model with a longer context"
        )
