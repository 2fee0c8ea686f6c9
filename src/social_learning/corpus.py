"""The corpus: a task's training and test examples, from its own published data or from the user's."""

import importlib.resources
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from social_learning.config import Experiment
from social_learning.data import ColumnMap, Row, conflicting, drop_duplicates, question_key, read_rows, to_examples
from social_learning.errors import ConfigError, DataError
from social_learning.seeds import generator
from social_learning.task import Example, Task
from social_learning.tasks import built_in
from social_learning.tasks.base import BuiltIn

DATA_VARIABLE = "SOCIAL_LEARNING_DATA"
FIXED_SEED = 231211441
"""Test sets are drawn from this seed, not from the run's, so that they are the same in every run."""


@dataclass(frozen=True, slots=True)
class Sifted:
    """What became of rows before they were a corpus, in counts.

    `train_duplicates`, `test_duplicates`: rows left out because an earlier one asks the same (see `question_key`); where test
    rows are taken out of the training rows, both are among the first. `conflicting_questions`: questions that stand there with
    different answers, in training and test rows together; the first row of each counts. `train_in_test`: training rows left
    out because they are test questions.
    """

    train_duplicates: int = 0
    test_duplicates: int = 0
    conflicting_questions: int = 0
    train_in_test: int = 0


@dataclass(frozen=True, slots=True)
class Corpus:
    """A task with its examples: what teachers may be given, and what students are tested on. They share no question."""

    task: Task
    train: tuple[Example, ...]
    test: tuple[Example, ...]
    source: str
    sifted: Sifted = Sifted()


def load_corpus(experiment: Experiment, root: Path | None = None) -> Corpus:
    """Read the examples an experiment asks for. `root` is the data folder of the built-in tasks, else the experiment's
    own setting, else the environment variable SOCIAL_LEARNING_DATA.

    Raises DataError or ConfigError that names file, row and field, or what is missing.
    """
    corpus, wanted = _whole(experiment, root), experiment.data.development
    return corpus if wanted is None else _development(corpus, wanted)


def _whole(experiment: Experiment, root: Path | None) -> Corpus:
    if isinstance(experiment.task, str):
        known = built_in(experiment.task)
        if experiment.data.train is None:
            unused = {"test", "columns", "label_names", "train_split", "test_split"} & experiment.data.model_fields_set
            if unused:
                raise ConfigError(
                    f"data.{min(unused)} has no use without data.train: task {known.task.name!r} brings its own data"
                )
            return _published(known, experiment, root)
        task = known.task
    else:
        known, task = None, experiment.task
    return _own(task, known, experiment)


def load_test(experiment: Experiment, root: Path | None = None) -> Corpus:
    """Read only what students are tested on: training rows are elsewhere, or not looked at. Raises as `load_corpus` does."""
    data = experiment.data
    if data.test is None or data.development is not None:
        return replace(load_corpus(experiment, root), train=())
    known = built_in(experiment.task) if isinstance(experiment.task, str) else experiment.task
    task = known if isinstance(known, Task) else known.task
    columns = ColumnMap(data.columns, data.label_names)
    rows = read_examples(data.test, data.test_split, Path(experiment.base), known, columns)
    test = drop_duplicates(rows, task)
    sifted = Sifted(test_duplicates=len(rows) - len(test), conflicting_questions=conflicting(rows, task))
    return Corpus(task, (), tuple(_sample(test, data.test_rows)), data.test, sifted)


def _own(task: Task, known: BuiltIn | None, experiment: Experiment) -> Corpus:
    """The user's own files or Hub data sets."""
    data = experiment.data
    if data.train is None:
        raise ConfigError(f"task {task.name!r} needs [data] train: a file, or a Hugging Face id")
    columns = ColumnMap(data.columns, data.label_names)
    base = Path(experiment.base)

    def examples(source: str, split: str) -> list[Example]:
        return read_examples(source, split, base, known or task, columns)

    train = examples(data.train, data.train_split)
    if data.test is not None:
        test = examples(data.test, data.test_split)
        return _of_two(task, train, test, f"{data.train} and {data.test}", data.test_rows)
    return _take_test(task, train, data.test_rows, data.train)


def read_examples(source: str, split: str, base: Path, task: Task | BuiltIn, columns: ColumnMap) -> list[Example]:
    """Read the examples of one file or Hub data set, in order. Rows of a built-in task may stand in its published form.

    Raises DataError that names file, row and field.
    """
    known = None if isinstance(task, Task) else task
    rows = _converted(read_rows(source, split=split, base=base), known, columns.columns)
    return to_examples(rows, task if isinstance(task, Task) else task.task, columns)


def _development(corpus: Corpus, wanted: int) -> Corpus:
    """Training examples in place of the test rows, the same in every run; teachers get the others."""
    if wanted >= len(corpus.train):
        raise DataError(f"data.development: {wanted} rows leave nothing of {len(corpus.train)} training examples")
    order = generator(FIXED_SEED, "development").permutation(len(corpus.train))
    part, rest = order[:wanted], np.sort(order[wanted:])
    return replace(corpus, test=tuple(corpus.train[i] for i in part), train=tuple(corpus.train[i] for i in rest))


def _published(known: BuiltIn, experiment: Experiment, root: Path | None) -> Corpus:
    """A built-in task's own data."""
    task, wanted = known.task, experiment.data.test_rows
    train = _read_published(known, known.train, experiment, root)
    if known.pooled:
        test = _read_published(known, known.test, experiment, root) if known.test else []
        rows = [*train, *test]
        pool = balance(drop_duplicates(rows, task), task, generator(FIXED_SEED, "balance"))
        corpus = _take_test(task, pool, known.test_rows, known.source)
        # The fixed test set is drawn whole before it is cut, so that fewer rows are always a part of it.
        return replace(corpus, test=corpus.test[:wanted], sifted=_sifted(task, rows, []))
    if known.test is None:
        return _take_test(task, train, wanted, known.source)
    return _of_two(
        task, train, _read_published(known, known.test, experiment, root), known.source, wanted, known.test_rows
    )


def _read_published(known: BuiltIn, name: str, experiment: Experiment, root: Path | None) -> list[Example]:
    return to_examples(_converted(_rows_of(name, experiment, root), known, {}), known.task)


def _rows_of(name: str, experiment: Experiment, root: Path | None) -> list[Row]:
    """Read a built-in task's own file."""
    if name.startswith("bundled:"):
        packaged = importlib.resources.files("social_learning") / "bundled" / name.removeprefix("bundled:")
        with importlib.resources.as_file(packaged) as path:
            return list(read_rows(path))
    base = data_folder(experiment, root)
    if base is None:
        raise ConfigError(
            f"task {experiment.task!r} needs its data: give the folder that holds {name} by --data DIR or the variable "
            f"{DATA_VARIABLE}, or name your own files in [data] train and test"
        )
    return list(read_rows(base / name))


def data_folder(experiment: Experiment, root: Path | None) -> Path | None:
    """Return the folder of the built-in tasks' data: `root`, else the experiment's own, else the variable's, else None."""
    if root is None and experiment.data.root:
        return Path(experiment.base) / experiment.data.root
    found = root or os.environ.get(DATA_VARIABLE)
    return Path(found) if found else None


def _converted(rows: Sequence[Row], known: BuiltIn | None, columns: object) -> list[Row]:
    """Rows of a built-in task in its own published form; rows whose columns the user maps are left as they are."""
    if known is None or columns:
        return list(rows)
    return [replace(row, values=known.convert(row.values)) for row in rows]


def balance(examples: Sequence[Example], task: Task, rng: np.random.Generator) -> list[Example]:
    """Undersample without replacement until every label is equally frequent; the order is random."""
    piles = [[example for example in examples if example.answer == label] for label in task.labels]
    smallest = min(map(len, piles))
    kept = [pile[i] for pile in piles for i in rng.permutation(len(pile))[:smallest]]
    return [kept[i] for i in rng.permutation(len(kept))]


def _take_test(task: Task, rows: Sequence[Example], wanted: int | None, source: str) -> Corpus:
    """Take test rows, a quarter unless it is said how many, out of rows."""
    examples = drop_duplicates(rows, task)
    wanted = wanted or len(examples) // 4
    if wanted >= len(examples):
        raise DataError(
            f"{wanted} test rows leave no training examples: the data has {len(examples)} different examples; lower data.test_rows"
        )
    order = generator(FIXED_SEED, "test").permutation(len(examples))
    test = [examples[i] for i in order[:wanted]]
    return _corpus(task, [examples[i] for i in order[wanted:]], test, source, _sifted(task, rows, []))


def _of_two(
    task: Task,
    train: Sequence[Example],
    test: Sequence[Example],
    source: str,
    wanted: int | None,
    drawn: int | None = None,
) -> Corpus:
    """Put training and test rows together, of which `drawn` are drawn for all runs, and the first `wanted` are asked."""
    examples = _sample(drop_duplicates(test, task), drawn)
    return _corpus(task, drop_duplicates(train, task), examples, source, _sifted(task, train, test), wanted)


def _sifted(task: Task, train: Sequence[Example], test: Sequence[Example]) -> Sifted:
    """Count what repeats and contradicts itself in rows as they were read."""
    return Sifted(
        train_duplicates=len(train) - len(drop_duplicates(train, task)),
        test_duplicates=len(test) - len(drop_duplicates(test, task)),
        conflicting_questions=conflicting([*train, *test], task),
    )


def _sample(examples: Sequence[Example], wanted: int | None) -> list[Example]:
    """A fixed random part of the examples, in random order; all of them where `wanted` is None or too large."""
    order = generator(FIXED_SEED, "test").permutation(len(examples))
    return [examples[i] for i in order[:wanted]]


def _corpus(
    task: Task,
    train: Sequence[Example],
    test: Sequence[Example],
    source: str,
    sifted: Sifted,
    wanted: int | None = None,
) -> Corpus:
    """Put a corpus together, with the first `wanted` test examples; training examples whose question is also a test question
    go, whether or not that one is wanted: so silos do not depend on how many rows are asked for.
    """
    asked = {question_key(task, example) for example in test}
    kept = [example for example in train if question_key(task, example) not in asked]
    if not kept or not test:
        raise DataError(f"task {task.name!r}: {len(kept)} training and {len(test)} test examples; both must be there")
    sifted = replace(sifted, train_in_test=len(train) - len(kept))
    return Corpus(task, tuple(kept), tuple(test[:wanted]), source, sifted)


def place_of(experiment: Experiment, root: Path | None, example: Example) -> str:
    """Return where an example of the corpus was read from, as `FILE, row N`; reads the data again. Arguments as for
    `load_corpus`.
    """
    data = experiment.data
    known = built_in(experiment.task) if isinstance(experiment.task, str) else None
    task = known.task if known else experiment.task
    columns = ColumnMap(data.columns, data.label_names)
    if data.train is not None or data.test is not None:
        named = ((data.test, data.test_split), (data.train, data.train_split))
        sources = [read_rows(name, split=split, base=Path(experiment.base)) for name, split in named if name]
    else:
        sources = [_rows_of(name, experiment, root) for name in (known.test, known.train) if name] if known else []
    for rows in sources:
        for row in _converted(rows, known, columns.columns):
            if isinstance(task, Task) and to_examples([row], task, columns) == [example]:
                return row.where
    return "the data"
