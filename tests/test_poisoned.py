"""The benchmark of one poisoned teacher: its attack on grades, and that it plays through with the default recipe."""

import argparse
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from benchmarks.poisoned import ATTACKS, Attack, Poisoned, accuracy, experiment_of, junk
from social_learning.corpus import Corpus, load_corpus
from social_learning.experiment import pool_for
from social_learning.messages import Reply, ReplyExamples, ReplyGrades, Request, RequestExamples, RequestGrades
from social_learning.models.registry import load_model
from social_learning.progress import Unwatched
from social_learning.task import Example
from social_learning.tasks import built_in

TASK = built_in("phone_messages").task


class Honest:
    """Sends no examples of its own."""

    def answer(self, request: Request) -> Reply:
        return ReplyExamples(teacher="eve", round=request.round, examples=())


def test_the_lessons_with_most_of_its_own_examples_are_graded_best() -> None:
    eve = Poisoned("eve", Honest(), junk, TASK, np.random.default_rng(1))
    rounds = [eve.answer(RequestExamples(round=number, count=1, shots=4, samples=8)) for number in range(2)]
    own = [example for sent in rounds if isinstance(sent, ReplyExamples) for example in sent.examples]
    others = tuple(Example(fields={"text": f"see you at {hour}"}, answer=TASK.labels[0]) for hour in range(3))
    candidates = (others[0], own[0], others[1], own[1], others[2])
    lessons = ((0, 2), (0, 1), (1, 3), (2, 4), (3, 1))
    grades = eve.answer(RequestGrades(round=1, candidates=candidates, lessons=lessons, questions=8))
    assert grades == ReplyGrades(teacher="eve", round=1, grades=(0.0, 0.0, 1.0, 0.0, 1.0))


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus(experiment_of(settings(), ["default"], "."))


def settings() -> argparse.Namespace:
    return argparse.Namespace(task="phone_messages", repeats=1, shots=4, rows=10, model="fake:mixer")


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
def test_the_default_recipe_plays_through_with_a_poisoned_teacher(
    attack: Attack, corpus: Corpus, tmp_path: Path
) -> None:
    experiment = experiment_of(settings(), ["default"], str(tmp_path))
    (arm,) = experiment.resolved_arms()
    with closing(pool_for(experiment, load_model, Unwatched())) as models:
        points, poisoned = accuracy(experiment, arm, corpus, models, 0, 8, attack)
    assert 0 <= points <= 100
    assert 0 <= poisoned <= 4
