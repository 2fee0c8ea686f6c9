"""The works that are measured, made of the project's own prompts: what its students and teachers really ask of a model.

Texts only. Ours and the peers read the same file, so all of them compute the same thing.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.canaries import PATTERNS, canaries, most_common
from benchmarks.work import GenerateWork, ScoreWork, Work
from social_learning.config import parse_experiment
from social_learning.corpus import DATA_VARIABLE, Corpus, load_corpus
from social_learning.data import read_rows
from social_learning.errors import ConfigError
from social_learning.lesson import Lesson
from social_learning.prompts.shots import label_first_prompt
from social_learning.seeds import generator
from social_learning.task import SEPARATOR, Example

SEED = 3
SHOTS = 16
TEACHER_SHOTS = 8
NAMES_FILE = "us_baby_names_2020/names.jsonl.gz"
NAMES = 1000

DEFAULT_SIZES = {"labels": 200, "canaries": 1000, "lambada": 500, "answers": 200, "teachers": 8}
"""How many units each work has: test rows, canaries of each pattern, passages, test rows, teachers."""


def build(name: str, size: int, corpus: Corpus | None = None) -> Work:
    """Make one work of `size` units.

    `corpus` replaces the published data (for tests). Raises a UserError where the data is missing, or too small.
    """
    if name == "canaries":
        return canary_scores(size)
    corpus = corpus or published("lambada" if name == "lambada" else "sms_spam_classes")
    makers: dict[str, Callable[[Corpus, int], Work]] = {
        "labels": label_scores,
        "lambada": last_words,
        "answers": greedy_answers,
        "teachers": drafts,
    }
    return makers[name](corpus, size)


def published(task: str) -> Corpus:
    """Load a task's published data, from the folder that SOCIAL_LEARNING_DATA names."""
    return load_corpus(parse_experiment({"name": "benchmark", "task": task}), data_folder())


def data_folder() -> Path:
    """Return the folder of the published data. Raises ConfigError where it is not given."""
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        raise ConfigError(f"the benchmark needs the published data: set {DATA_VARIABLE} to its folder (docs/data.md)")
    return Path(folder)


def label_scores(corpus: Corpus, rows: int, shots: int = SHOTS) -> ScoreWork:
    """Every label after every test row's prompt, as a student that answers by labels asks."""
    lesson, task = lesson_of(corpus, shots), corpus.task
    pairs = [
        (lesson.prompt(example.fields), task.scored_label(label))
        for example in _part(corpus.test, rows, "test rows")
        for label in task.labels
    ]
    what = f"{shots}-shot {task.name} by label scoring: {rows} test rows, {len(task.labels)} labels each"
    return ScoreWork("labels", what, "rows", len(task.labels), tuple(pairs))


def canary_scores(count: int) -> ScoreWork:
    """Canaries of all four patterns in turn, each after a lesson of its own task."""
    lessons = {task: lesson_text(published(task)) for task in ("lambada", "gsm8k")}
    rows = read_rows(data_folder() / NAMES_FILE)
    names = most_common([row.values for row in rows], NAMES)
    drawn = [canaries(pattern, count, names, generator(SEED, pattern)) for pattern in PATTERNS]
    prompts = [lessons[pattern.partition(" ")[0]] for pattern in PATTERNS]
    pairs = [
        (prompt, SEPARATOR + canary)
        for one_of_each in zip(*drawn, strict=True)
        for prompt, canary in zip(prompts, one_of_each, strict=True)
    ]
    what = f"{count:,} canaries of each of {len(PATTERNS)} patterns after a {SHOTS}-shot lesson of their task"
    return ScoreWork("canaries", what, "canaries of each pattern", len(PATTERNS), tuple(pairs))


def last_words(corpus: Corpus, passages: int) -> ScoreWork:
    """The last word of each passage after the zero-shot student's prompt: nothing is shared."""
    lesson, task = Lesson(task=corpus.task), corpus.task
    pairs = [
        (lesson.prompt(example.fields), task.continuation(example.answer))
        for example in _part(corpus.test, passages, "passages")
    ]
    return ScoreWork("lambada", f"LAMBADA zero-shot: the last word of {passages} passages", "passages", 1, tuple(pairs))


def greedy_answers(corpus: Corpus, rows: int) -> GenerateWork:
    """Free answers to test rows, as a student that answers freely asks."""
    lesson, task = lesson_of(corpus, SHOTS), corpus.task
    prompts = [lesson.prompt(example.fields) for example in _part(corpus.test, rows, "test rows")]
    what = f"greedy answers after {SHOTS} shots: {rows} rows, up to 8 new tokens"
    return GenerateWork("answers", what, "rows", tuple(prompts), 1, 8, 0.0, 1.0, task.stop, 0)


def drafts(corpus: Corpus, teachers: int, candidates: int = 16, new_tokens: int = 80) -> GenerateWork:
    """New examples of teachers with silos of their own; every teacher is asked for one class, in turn.

    Candidates do not stop at a line break here, so that all engines write the same number of tokens.
    """
    task = corpus.task
    prompts = []
    for number in range(teachers):
        shots = _draw(corpus, TEACHER_SHOTS, generator(SEED, "teacher", number))
        prompts.append(label_first_prompt(task, shots, task.labels[number % len(task.labels)]))
    what = f"{teachers} teachers x {candidates} candidates, {new_tokens} new tokens, temperature 0.8, top-p 0.95"
    return GenerateWork("teachers", what, "teachers", tuple(prompts), candidates, new_tokens, 0.8, 0.95, (), SEED)


def lesson_of(corpus: Corpus, shots: int) -> Lesson:
    """Return a lesson of original examples, drawn at random."""
    return Lesson(task=corpus.task, examples=tuple(_draw(corpus, shots, generator(SEED, "lesson"))))


def lesson_text(corpus: Corpus) -> str:
    """Return a 16-shot lesson as text, without a question."""
    return SEPARATOR.join(corpus.task.render(example) for example in lesson_of(corpus, SHOTS).examples)


def _draw(corpus: Corpus, count: int, rng: np.random.Generator) -> list[Example]:
    return [corpus.train[i] for i in rng.choice(len(corpus.train), size=count, replace=False)]


def _part(examples: Sequence[Example], count: int, what: str) -> Sequence[Example]:
    if count > len(examples):
        raise ConfigError(f"{count} {what} were asked for, the data has {len(examples)}: ask for fewer")
    return examples[:count]
