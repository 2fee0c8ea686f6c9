"""Teachers asked in cohorts: who is asked, what is picked, and that memory does not grow with the number of teachers."""

import gc
import json
import tracemalloc
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from social_learning.config import parse_experiment
from social_learning.errors import TeachingError
from social_learning.experiment import run
from social_learning.lesson import Lesson, Source
from social_learning.messages import ReplyExamples, ReplyGrades, RequestGrades
from social_learning.protocols.base import Ask, Protocol, Replies
from social_learning.protocols.candidates import Candidate, Generation
from social_learning.protocols.cohorts import Reservoir, cohort_examples
from social_learning.protocols.examples import MAX_ROUNDS, random_examples
from social_learning.seeds import generator
from social_learning.task import Example
from social_learning.tasks import BUILT_IN
from tests.silos import SHORT

TASK = BUILT_IN["sms_spam"].task
BY_TWO = Generation(
    shots=4, samples=8, count=3, temperature=0.9, top_p=0.95, way="plain", self_check=False, balanced=False, cohort=2
)
BALANCED = replace(BY_TWO, balanced=True)


def made(text: str, answer: str = "spam") -> Example:
    return Example(fields={"text": text}, answer=answer)


def reply(teacher: str, round: int, count: int = 4, long: int = 0) -> ReplyExamples:
    """Half of each label, each text another one."""
    texts = [f"{teacher} wrote {number} in round {round} {'x' * long}".strip() for number in range(count)]
    examples = tuple(made(text, TASK.labels[number % 2]) for number, text in enumerate(texts))
    return ReplyExamples(teacher=teacher, round=round, examples=examples)


def names(count: int) -> tuple[str, ...]:
    return tuple(f"t{number}" for number in range(count))


def play(protocol: Protocol, count: int = 4) -> tuple[Lesson, list[Ask]]:
    """Answer as honest teachers do, until the lesson is there; also who was asked."""
    asked = [next(protocol)]
    while True:
        replies: Replies = {name: reply(name, asked[-1].request.round, count) for name in asked[-1].teachers}
        try:
            asked.append(protocol.send(replies))
        except StopIteration as end:
            return end.value, asked


def test_everybody_is_asked_some_at_a_time() -> None:
    lesson, asked = play(cohort_examples(TASK, names(5), 4, BY_TWO, generator(1)))
    assert asked == [
        Ask(BY_TWO.request(0), ("t0", "t1")),
        Ask(BY_TWO.request(0), ("t2", "t3")),
        Ask(BY_TWO.request(0), ("t4",)),
    ]
    assert len(lesson.examples) == len(set(map(TASK.render, lesson.examples))) == 4
    for example, source in zip(lesson.examples, lesson.sources, strict=True):
        assert source == Source(teacher=example.fields["text"].split()[0], round=0)


def test_each_example_has_the_same_chance_whichever_cohort_it_came_in() -> None:
    counts = Counter[str]()
    for seed in range(400):
        lesson, _ = play(cohort_examples(TASK, names(5), 2, BY_TWO, generator(seed)), count=2)
        counts.update(example.fields["text"] for example in lesson.examples)
    assert len(counts) == 10
    assert all(45 <= count <= 120 for count in counts.values())  # 80 each, and 8 of spread


def test_balanced_picks_have_even_labels() -> None:
    lesson, _ = play(cohort_examples(TASK, names(5), 6, BALANCED, generator(1)))
    assert Counter(example.answer for example in lesson.examples) == dict.fromkeys(TASK.labels, 3)


def test_too_few_are_asked_again() -> None:
    lesson, asked = play(cohort_examples(TASK, names(3), 5, BY_TWO, generator(1)), count=1)
    assert [ask.request.round for ask in asked] == [0, 0, 1, 1]
    assert len(lesson.examples) == 5


def test_too_few_for_good_end_in_an_error_that_counts() -> None:
    rounds: list[int] = []

    def always_the_same() -> None:
        protocol = cohort_examples(TASK, names(3), 5, BY_TWO, generator(1))
        ask = next(protocol)
        while True:
            rounds.append(ask.request.round)
            same = ReplyExamples(teacher="t0", round=0, examples=(made("the one"),), discarded={"malformed": 1})
            ask = protocol.send({"t0": same, "t1": same})

    with pytest.raises(TeachingError, match=f"sent 1 usable examples in {MAX_ROUNDS} rounds.*: 24 malformed$"):
        always_the_same()
    assert rounds == sorted([*range(MAX_ROUNDS)] * 2)


def test_a_reservoir_keeps_an_example_once_and_forgets_it_whole() -> None:
    reservoir = Reservoir(TASK, 2, (), generator(1))
    for _ in range(3):
        for number in range(50):
            reservoir.offer(Candidate(made(f"text {number}"), Source(teacher="ann", round=0)))
    kept = [TASK.render(candidate.example) for candidate in reservoir.candidates()]
    assert len(kept) == len(set(kept)) == 2


def answer(ask: Ask, long: int) -> Replies:
    return {name: reply(name, ask.request.round, long=long) for name in ask.teachers}


def peak(protocol: Protocol) -> int:
    """Bytes that a protocol had at most while some 2 kB came in from each teacher."""
    gc.freeze()  # collecting looks at what is new only, and so takes no time
    tracemalloc.start()
    try:
        with suppress(StopIteration):
            ask = next(protocol)
            while True:
                ask = protocol.send(answer(ask, long=500))
                gc.collect()  # what is only waiting for that does not count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.unfreeze()


def test_memory_is_flat_in_the_number_of_teachers() -> None:
    few, many = names(200), names(2000)
    by_twenty = replace(BALANCED, cohort=20)
    # The first one fills caches.
    flat = [peak(cohort_examples(TASK, teachers, 8, by_twenty, generator(1))) for teachers in (few, few, many)]
    assert flat[2] < flat[1] + 30_000
    # The measure can tell: all at once, 1,800 more teachers are more than 3 MB.
    growing = [peak(random_examples(TASK, teachers, 8, BALANCED, generator(1))) for teachers in (few, many)]
    assert growing[1] > growing[0] + 3_000_000


def test_an_experiment_asks_in_cohorts(tmp_path: Path) -> None:
    table = {**SHORT, "arms": ["zero-shot", "generated"]}
    whole, cohorts = parse_experiment(table), parse_experiment({**table, "generation": {"cohort": 2}})
    assert whole.fingerprint != cohorts.fingerprint
    run(cohorts, tmp_path)
    lines = (tmp_path / "cells" / "generated-n4-r0" / "messages.jsonl").read_text().splitlines()
    asked = [json.loads(line)["request"]["kind"] for line in lines]
    assert asked == ["examples"] * 3 + ["grades"] * 6


def graders(protocol: Protocol) -> Ask:
    """Answer until grades are asked for."""
    asked = next(protocol)
    while not isinstance(asked.request, RequestGrades):
        asked = protocol.send({name: reply(name, asked.request.round) for name in asked.teachers})
    return asked


def test_of_several_lessons_a_random_cohort_of_all_teachers_grades_the_best() -> None:
    chosen = Counter[str]()
    for seed in range(40):
        protocol = cohort_examples(TASK, names(5), 4, replace(BY_TWO, lessons=3), generator(seed))
        asked = graders(protocol)
        assert isinstance(asked.request, RequestGrades)
        assert len(set(asked.teachers)) == 2
        chosen.update(asked.teachers)
        best = [asked.request.candidates[place] for place in asked.request.lessons[2]]
        grades = (0.1, 0.2, 0.3)
        with pytest.raises(StopIteration) as end:
            protocol.send({n: ReplyGrades(teacher=n, round=asked.request.round, grades=grades) for n in asked.teachers})
        assert list(end.value.value.examples) == best
    assert set(chosen) == set(names(5))
    by_nine = cohort_examples(TASK, names(5), 4, replace(BY_TWO, lessons=3, cohort=9), generator(1))
    assert graders(by_nine).teachers == names(5)
