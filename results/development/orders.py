"""The same lessons in other orders, on the same development rows: CSV lines as in development.csv.

    python results/development/orders.py RUN DIR >> results/development/development.csv

RUN is a run folder of experiment.toml beside this file, DIR the built-in tasks' data.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np

from social_learning import Lesson, Student, load_experiment, load_model
from social_learning.corpus import load_corpus
from social_learning.task import Example


def orders(examples: list[Example]) -> dict[str, list[Example]]:
    """Return the examples in each order, by its name."""
    first, last = sorted({example.answer for example in examples})
    return {
        "as it is": examples,
        "reversed": examples[::-1],
        f"{last} last": sorted(examples, key=lambda example: example.answer),
        f"{first} last": sorted(examples, key=lambda example: example.answer, reverse=True),
        **{f"random {k}": [examples[i] for i in np.random.default_rng(k).permutation(len(examples))] for k in range(2)},
    }


def main(run: Path, data: Path) -> None:
    """Print how many development rows each lesson of the run's generated arm gets right, in each order."""
    task = json.loads((run / "run.json").read_text())["experiment"]["task"]
    experiment = load_experiment(Path(__file__).with_name("experiment.toml"), [f"task={task}"])
    corpus, model = load_corpus(experiment, data), load_model(experiment.student.model)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for cell in sorted((run / "cells").glob("generated-*")):
        for name, examples in orders(list(Lesson.load(cell).examples)).items():
            student = Student(model, Lesson(task=corpus.task, examples=tuple(examples)))
            answers = student.answers([example.fields for example in corpus.test])
            right = np.mean([answer.text == row.answer for answer, row in zip(answers, corpus.test, strict=True)])
            repeat = cell.name.rpartition("-r")[2]
            writer.writerow(
                [corpus.task.name, f"order: {name}", repeat, len(corpus.test), round(100 * float(right), 1)]
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
