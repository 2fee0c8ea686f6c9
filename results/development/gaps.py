"""What LAMBADA's lessons lack, on development rows: text or gaps? One CSV line for each lesson, drawn at random.

    python results/development/gaps.py DIR > results/development/gaps.csv

DIR is the built-in tasks' data. `pool` is how many examples lessons are drawn from, no answer twice; `probability` that of the right
answers after the lesson, in the mean of ROWS development rows, and `right` the share of them that the student would say.
"""

import csv
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from social_learning import Lesson, load_experiment, load_model
from social_learning.cloze import GapStyle, gains, gaps_in, style_of
from social_learning.corpus import Corpus, load_corpus
from social_learning.models.base import LanguageModel, Sampling
from social_learning.prompts.shots import new_example_prompt
from social_learning.task import SEPARATOR, Example, Task

SPLITS, SILOS, PROMPTS, SAMPLES = 2, 8, 3, 8
LESSONS, SHOTS, ROWS = 4, 16, 192


def pools(corpus: Corpus, model: LanguageModel, split: int) -> dict[str, list[Example]]:
    """Return the examples to draw lessons from: drafts of one split, and private ones, with gaps set in several ways."""
    rng, task = np.random.default_rng(split), corpus.task
    early, alike, told = list[Example](), list[Example](), list[Example]()
    for silo in np.array_split(rng.permutation(len(corpus.train)), SILOS):
        private = [corpus.train[i] for i in silo]
        style, drafts = style_of(task, private), list(_drafts(corpus, model, private, rng))
        early += _gapped(task, drafts, GapStyle(before=25, back=1, rarity=0.1, shares=style.shares))
        alike += _gapped(task, drafts, style)
        told += _most_told(task, model, drafts, style)
    whole = [f"{example.fields['passage']} {example.answer}" for example in corpus.train]
    style = replace(style_of(task, corpus.train), before=30, back=10)
    return {
        "drafts, rare word": early,
        "drafts, as private": alike,
        "drafts, the whole tells most": told,
        "private texts, rare word": _gapped(task, whole, style),
        "private, after the or a": [e for e in corpus.train if e.fields["passage"].split()[-1] in ("the", "a")],
        "private": list(corpus.train),
    }


def _gapped(task: Task, passages: Iterable[str], style: GapStyle) -> list[Example]:
    """Set each passage's gap where `style` allows it at the word that stands in fewest private examples; of several, the last."""
    gapped = ([gap.example for gap in gaps_in(task, {"passage": passage}, style)] for passage in passages)
    return [min(reversed(gaps), key=lambda e: style.shares.get(e.answer.casefold(), 0)) for gaps in gapped if gaps]


def _most_told(task: Task, model: LanguageModel, passages: Iterable[str], style: GapStyle) -> list[Example]:
    """Set each passage's gap at the word of which the whole tells most, and keep the half of them where that is most."""
    best = []
    for passage in passages:
        gaps = gaps_in(task, {"passage": passage}, style)
        best += sorted(zip(gains(model, gaps), range(len(gaps)), gaps, strict=True))[-1:]
    ordered = sorted(best, key=lambda kept: -kept[0])
    return [gap.example for _, _, gap in ordered[: len(ordered) // 2]]


def _drawn(pool: list[Example], rng: np.random.Generator) -> tuple[Example, ...]:
    """Draw a lesson, no answer twice."""
    lesson = dict[str, Example]()
    for place in rng.permutation(len(pool)):
        lesson.setdefault(pool[place].answer.casefold(), pool[place])
    return tuple(lesson.values())[:SHOTS]


def _drafts(corpus: Corpus, model: LanguageModel, private: list[Example], rng: np.random.Generator) -> Iterator[str]:
    """Have the model write passages after private examples; the last word of one that was cut off may not be whole."""
    task = corpus.task
    shown = [[private[i] for i in rng.choice(len(private), 8, replace=False)] for _ in range(PROMPTS)]
    sampling = Sampling(
        temperature=0.8,
        top_p=0.95,
        max_tokens=task.max_example_tokens,
        stop=(SEPARATOR,),
        seed=int(rng.integers(2**31)),
    )
    rows = model.generate([new_example_prompt(task, examples) for examples in shown], sampling, SAMPLES)
    for draft in (draft for row in rows for draft in row):
        text = draft.text.rpartition(" ")[0] if draft.finish == "length" else draft.text
        fields = task.parse_question(task.opening + text)
        if fields:
            yield fields["passage"].removesuffix(task.gap)


def main(data: Path) -> None:
    """Print how probable the right answers are after each lesson."""
    settings = ["task=lambada", f"data.development={ROWS}"]
    experiment = load_experiment(Path(__file__).with_name("experiment.toml"), settings)
    corpus, model = load_corpus(experiment, data), load_model(experiment.student.model)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["split", "gaps", "pool", "lesson", "probability", "right"])
    for split in range(SPLITS):
        for name, pool in pools(corpus, model, split).items():
            for number in range(LESSONS):
                lesson = Lesson(task=corpus.task, examples=_drawn(pool, np.random.default_rng([split, number])))
                scores = model.score(
                    [(lesson.prompt(e.fields), corpus.task.continuation(e.answer)) for e in corpus.test]
                )
                probability = np.mean([np.exp(min(0.0, score.per_token)) for score in scores])
                right = np.mean([score.greedy for score in scores])
                writer.writerow([split, name, len(pool), number, round(float(probability), 4), round(float(right), 4)])
                sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
