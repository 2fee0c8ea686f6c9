"""What LAMBADA's lessons lack, on development rows: text or gaps? One CSV line for each lesson, drawn at random.

    python results/what_helps/gaps.py DIR > results/what_helps/gaps.csv

DIR is the built-in tasks' data. `pool` is how many examples lessons are drawn from; `probability` that of the right answers after
the lesson, in the mean of ROWS development rows: what teachers grade by.
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from social_learning import Lesson, Silo, Student, Teacher, load_experiment, load_model
from social_learning.cloze import style_of, with_gap
from social_learning.corpus import Corpus, load_corpus
from social_learning.messages import ReplyExamples, RequestExamples
from social_learning.models.base import LanguageModel
from social_learning.task import Example

SPLITS, SILOS, ROUNDS = 2, 8, 3
LESSONS, SHOTS, ROWS = 4, 16, 192

PLAIN = {"way": "plain", "cloze": True, "samples": 8}
ANSWER_FIRST = {"way": "answer-first", "samples": 16}


def pools(corpus: Corpus, model: LanguageModel, split: int) -> dict[str, list[Example]]:
    """Return the examples to draw lessons from: those of teachers of one split, and private ones."""
    task, private = corpus.task, list(corpus.train)
    parts = np.array_split(np.random.default_rng(split).permutation(len(private)), SILOS)
    silos = [Silo(f"teacher-{n}", task, [private[i] for i in part]) for n, part in enumerate(parts)]
    teachers = [Teacher(silo, model, seed=split) for silo in silos]
    style = style_of(task, private)
    texts = [f"{example.fields['passage']} {example.answer}" for example in private]
    gapped = (with_gap(task, {"passage": text}, style) for text in texts)
    return {
        "drafts, gaps set": list(_sent(teachers, PLAIN)),
        "drafts, answer first": list(_sent(teachers, ANSWER_FIRST)),
        "private texts, gaps set": [example for example in gapped if example],
        "private, after the or a": [e for e in private if e.fields["passage"].split()[-1] in ("the", "a")],
        "private": private,
    }


def _sent(teachers: list[Teacher], how: dict[str, Any]) -> Iterator[Example]:
    """All that may leave, and not the likeliest alone: so many that lessons differ."""
    for number in range(ROUNDS):
        request = RequestExamples(round=number, shots=8, count=how["samples"], temperature=0.8, top_p=0.95, **how)
        for teacher in teachers:
            if isinstance(reply := teacher.answer(request), ReplyExamples):
                yield from reply.examples


def main(data: Path) -> None:
    """Print how probable the right answers are after each lesson."""
    settings = ["task=lambada", f"data.development={ROWS}"]
    experiment = load_experiment(Path(__file__).with_name("experiment.toml"), settings)
    corpus, model = load_corpus(experiment, data), load_model(experiment.student.model)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["split", "gaps", "pool", "lesson", "probability"])
    for split in range(SPLITS):
        for name, pool in pools(corpus, model, split).items():
            for number in range(LESSONS):
                order = np.random.default_rng([split, number]).permutation(len(pool))
                lesson = Lesson(task=corpus.task, examples=tuple(pool[i] for i in order[:SHOTS]))
                probability = float(np.mean(Student(model, lesson).probabilities(corpus.test)))
                writer.writerow([split, name, len(pool), number, round(probability, 4)])
                sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
