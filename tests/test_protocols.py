"""Protocols, driven by hand with replies made by hand; and the local transport, which drives them over teachers."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from social_learning.errors import TeachingError
from social_learning.lesson import Lesson, Source
from social_learning.messages import (
    GuardResult,
    Reply,
    ReplyExamples,
    ReplyGrades,
    ReplyInstruction,
    ReplyVote,
    Request,
    RequestExamples,
    RequestGrades,
    RequestInstruction,
    RequestOriginals,
    RequestVote,
)
from social_learning.protocols.base import Ask, Protocol, Replies
from social_learning.protocols.baselines import manual_instruction, nothing, original_examples
from social_learning.protocols.candidates import Generation
from social_learning.protocols.examples import MAX_ROUNDS, random_examples, voted_examples
from social_learning.protocols.instruction import one_instruction
from social_learning.seeds import generator
from social_learning.task import Example
from social_learning.tasks import BUILT_IN
from social_learning.transports.local import drive, one_by_one

TASK = BUILT_IN["sms_spam"].task
TEACHERS = ("ann", "bo", "cy")
PLAIN = Generation(
    shots=4, samples=8, count=3, temperature=0.9, top_p=0.95, way="plain", self_check=False, balanced=False
)
BALANCED = Generation(
    shots=4, samples=8, count=3, temperature=1.0, top_p=1.0, way="label-first", self_check=True, balanced=True
)


class Stopped(NamedTuple):
    """How a protocol ended."""

    lesson: Lesson


def made(text: str, answer: str = "spam") -> Example:
    return Example(fields={"text": text}, answer=answer)


def sent(teacher: str, *texts: str, round: int = 0, answer: str = "spam") -> ReplyExamples:
    return ReplyExamples(teacher=teacher, round=round, examples=tuple(made(text, answer) for text in texts))


def answered(*replies: Reply) -> Replies:
    return {reply.teacher: reply for reply in replies}


def go_on(protocol: Protocol, *replies: Reply) -> Ask | Stopped:
    """Send the replies of a round; return what the protocol asks next, or what it ended in."""
    try:
        return protocol.send(answered(*replies))
    except StopIteration as end:
        return Stopped(end.value)


def play(protocol: Protocol, answer: Callable[[Ask], list[Reply]]) -> Lesson:
    """Drive a protocol to its end."""
    step: Ask | Stopped = next(protocol)
    while isinstance(step, Ask):
        step = go_on(protocol, *answer(step))
    return step.lesson


def lesson_of(step: Ask | Stopped) -> Lesson:
    assert isinstance(step, Stopped)
    return step.lesson


def asked(step: Ask | Stopped) -> Ask:
    assert isinstance(step, Ask)
    return step


def texts_of(lesson: Lesson) -> list[str]:
    return [example.fields["text"] for example in lesson.examples]


# Random examples


def test_teachers_are_asked_for_what_the_experiment_says() -> None:
    protocol = random_examples(TASK, TEACHERS, 2, PLAIN, generator(1))
    request = RequestExamples(round=0, count=3, shots=4, samples=8, way="plain", temperature=0.9, top_p=0.95)
    assert next(protocol) == Ask(request, TEACHERS)


@settings(max_examples=60)
@given(
    count=st.integers(1, 12),
    sizes=st.lists(st.integers(0, 6), min_size=3, max_size=3),
    seed=st.integers(0, 999),
    data=st.data(),
)
def test_exactly_so_many_examples_are_picked_each_with_its_source(
    count: int, sizes: list[int], seed: int, data: st.DataObject
) -> None:
    protocol = random_examples(TASK, TEACHERS, count, PLAIN, generator(seed))
    next(protocol)
    replies = [sent(name, *(f"{name} {i}" for i in range(size))) for name, size in zip(TEACHERS, sizes, strict=True)]
    step = go_on(protocol, *replies)
    if sum(sizes) < count:
        assert asked(step).request.round == 1
        more = [f"late {i}" for i in range(count)]
        step = go_on(protocol, sent("bo", *more, round=1))
    lesson = lesson_of(step)
    assert lesson.task == TASK
    assert lesson.instruction == ""
    assert len(lesson.examples) == len(set(texts_of(lesson))) == len(lesson.sources) == count
    for text, source in zip(texts_of(lesson), lesson.sources, strict=True):
        assert source == (Source(teacher="bo", round=1) if "late" in text else Source(teacher=text.split()[0], round=0))


def test_the_pick_is_random_and_seeded() -> None:
    def picked(seed: int) -> list[str]:
        protocol = random_examples(TASK, TEACHERS, 2, PLAIN, generator(seed))
        next(protocol)
        return texts_of(lesson_of(go_on(protocol, sent("ann", *(str(i) for i in range(10))))))

    assert picked(1) == picked(1)
    counts = Counter(text for seed in range(300) for text in picked(seed))
    assert len(counts) == 10
    assert all(35 <= count <= 90 for count in counts.values())


def test_the_same_example_from_two_teachers_is_one() -> None:
    protocol = random_examples(TASK, TEACHERS, 2, PLAIN, generator(1))
    next(protocol)
    step = go_on(protocol, sent("ann", "same"), sent("bo", "same"))
    assert asked(step) == Ask(PLAIN.request(1), TEACHERS)
    lesson = lesson_of(go_on(protocol, sent("cy", "same", "other", round=1)))
    assert dict(zip(texts_of(lesson), lesson.sources, strict=True)) == {
        "same": Source(teacher="ann", round=0),
        "other": Source(teacher="cy", round=1),
    }


@pytest.mark.parametrize("seed", range(5))
def test_balanced_picks_have_even_labels(seed: int) -> None:
    for count in (2, 4, 5):
        protocol = random_examples(TASK, TEACHERS, count, BALANCED, generator(seed))
        next(protocol)
        many = sent("ann", *(f"spam {i}" for i in range(20)))
        few = sent("bo", *(f"ham {i}" for i in range(3)), answer="not spam")
        labels = Counter(example.answer for example in lesson_of(go_on(protocol, many, few)).examples)
        assert labels.total() == count
        assert abs(labels["spam"] - labels["not spam"]) == count % 2


def test_balanced_picks_take_what_there_is() -> None:
    protocol = random_examples(TASK, TEACHERS, 6, BALANCED, generator(1))
    next(protocol)
    many = sent("ann", *(f"spam {i}" for i in range(20)))
    lesson = lesson_of(go_on(protocol, many, sent("bo", "ham", answer="not spam")))
    assert Counter(example.answer for example in lesson.examples) == {"spam": 5, "not spam": 1}


def test_which_label_comes_first_in_a_balanced_pick_is_chance() -> None:
    firsts = set()
    for seed in range(20):
        protocol = random_examples(TASK, TEACHERS, 2, BALANCED, generator(seed))
        next(protocol)
        step = go_on(protocol, sent("ann", "a"), sent("bo", "b", answer="not spam"))
        firsts.add(texts_of(lesson_of(step))[0])
    assert firsts == {"a", "b"}


def words(teacher: str, *answers: str, round: int = 0) -> ReplyExamples:
    """Examples of a task without labels, no two alike."""
    return ReplyExamples(
        teacher=teacher,
        round=round,
        examples=tuple(
            Example(fields={"scrambled": f"{teacher}{round}.{i}"}, answer=answer) for i, answer in enumerate(answers)
        ),
    )


@settings(max_examples=60)
@given(
    answers=st.lists(st.sampled_from(["sea", "Sea", "SKY", "sky", "sun", "moon"]), min_size=1, max_size=12),
    seed=st.integers(0, 999),
    data=st.data(),
)
def test_without_labels_no_answer_is_picked_again_while_there_are_others(
    answers: list[str], seed: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, len(answers)))
    protocol = random_examples(BUILT_IN["random_insertion"].task, ("ann",), count, BALANCED, generator(seed))
    next(protocol)
    lesson = lesson_of(go_on(protocol, words("ann", *answers)))
    offered = Counter(answer.casefold() for answer in answers)
    picked = Counter(example.answer.casefold() for example in lesson.examples)
    assert picked.total() == count
    most = max(picked.values())
    assert all(picked[answer] >= min(most - 1, offered[answer]) for answer in offered)


def test_an_answer_comes_again_before_a_teacher_has_more_than_its_share() -> None:
    """Else one teacher would get more of the lesson by answers of its own."""
    generation = replace(BALANCED, lessons=2, questions=1)
    protocol = random_examples(BUILT_IN["random_insertion"].task, ("ann", "bo"), 4, generation, generator(1))
    next(protocol)
    step = go_on(protocol, words("ann", *(f"own{i}" for i in range(8))), words("bo", *["sea"] * 8))
    request = asked(step).request
    assert isinstance(request, RequestGrades)
    for lesson in request.lessons:
        assert [request.candidates[place].answer for place in lesson].count("sea") == 2


def test_too_few_examples_end_in_an_error_that_counts() -> None:
    guards = (GuardResult(guard="no_copies", passed=1, dropped=2), GuardResult(guard="plain_text", passed=3))
    rounds: list[int] = []

    def answer(ask: Ask) -> list[Reply]:
        rounds.append(ask.request.round)
        reply = sent("ann", "the one", round=ask.request.round)
        return [reply.model_copy(update={"guards": guards, "discarded": {"malformed": 3}})]

    with pytest.raises(TeachingError) as caught:
        play(random_examples(TASK, TEACHERS, 5, PLAIN, generator(1)), answer)
    assert rounds == list(range(MAX_ROUNDS))
    assert str(caught.value) == (
        f"3 teachers sent 1 usable examples in {MAX_ROUNDS} rounds, the lesson needs 5; discarded: "
        f"{3 * MAX_ROUNDS} malformed, {2 * MAX_ROUNDS} no_copies"
    )


def test_silence_ends_in_an_error_too() -> None:
    with pytest.raises(TeachingError, match=r"sent 0 usable examples .* nothing was discarded"):
        play(random_examples(TASK, TEACHERS, 1, PLAIN, generator(1)), lambda _: [])


@pytest.mark.parametrize(
    "reply", [ReplyVote(teacher="bo", round=0, choice=0), ReplyInstruction(teacher="bo", round=0, instruction="x")]
)
def test_an_answer_of_another_kind_is_refused(reply: Reply) -> None:
    protocol = random_examples(TASK, TEACHERS, 1, PLAIN, generator(1))
    next(protocol)
    with pytest.raises(TeachingError, match=f"teacher 'bo' answered a request for examples with '{reply.kind}'"):
        go_on(protocol, sent("ann", "a"), reply)


# Grades

GRADED = replace(PLAIN, lessons=3, questions=5)


def graded(*grades: Sequence[float], round: int = 1) -> list[ReplyGrades]:
    return [ReplyGrades(teacher=f"judge {i}", round=round, grades=tuple(row)) for i, row in enumerate(grades)]


def grading() -> tuple[Protocol, RequestGrades]:
    """A protocol that has drawn three lessons of two, and asks for their grades."""
    protocol = random_examples(TASK, TEACHERS, 2, GRADED, generator(1))
    next(protocol)
    ballot = asked(go_on(protocol, sent("ann", "a", "b", "c"), sent("bo", "d", "e", "f")))
    assert isinstance(ballot.request, RequestGrades)
    assert ballot.teachers == TEACHERS
    return protocol, ballot.request


def lessons_on(request: RequestGrades) -> list[list[str]]:
    return [[request.candidates[place].fields["text"] for place in lesson] for lesson in request.lessons]


@pytest.mark.parametrize("best", range(3))
def test_the_lesson_with_the_best_grades_is_taken(best: int) -> None:
    protocol, request = grading()
    assert (request.round, request.questions, len(request.lessons)) == (1, 5, 3)
    row = [0.9 if number == best else 0.5 for number in range(3)]
    lesson = lesson_of(go_on(protocol, *graded(row, row, row)))
    assert texts_of(lesson) == lessons_on(request)[best]


def test_later_lessons_are_made_of_what_stands_in_lessons_with_good_grades() -> None:
    texts = "abcdefghijkl"
    good = set("cgk")

    def grades_of(request: RequestGrades) -> list[float]:
        return [len(good & set(lesson)) / 4 for lesson in lessons_on(request)]

    protocol = random_examples(TASK, TEACHERS, 3, replace(PLAIN, lessons=64), generator(1))
    next(protocol)
    ballot = asked(go_on(protocol, sent("ann", *texts[:6]), sent("bo", *texts[6:])))
    means = []
    for turn, lessons in enumerate((32, 16, 16)):
        assert isinstance(ballot.request, RequestGrades)
        assert (ballot.request.round, len(ballot.request.lessons)) == (1 + turn, lessons)
        grades = grades_of(ballot.request)
        means.append(sum(grades) / lessons)
        after = go_on(protocol, *graded(grades, grades, round=1 + turn))
        ballot = after if isinstance(after, Ask) else ballot
    assert means == sorted(means)
    assert means[2] > 2 * means[0]
    assert set(texts_of(lesson_of(after))) == good


def test_of_several_turns_only_teachers_that_graded_all_lessons_count() -> None:
    protocol = random_examples(TASK, TEACHERS, 1, replace(PLAIN, lessons=8), generator(1))
    next(protocol)
    first = asked(go_on(protocol, sent("ann", "a", "b"), sent("bo", "c"))).request
    assert isinstance(first, RequestGrades)
    best = 2
    loyal = [0.9 if number == best else 0.5 for number in range(4)]
    asked(go_on(protocol, *graded(loyal, [1.0, 0.0, 0.0, 0.0])))
    asked(go_on(protocol, *graded([0.1, 0.1], round=2)))
    lesson = lesson_of(go_on(protocol, *graded([0.1, 0.1], round=3)))
    assert texts_of(lesson) == lessons_on(first)[best]


@pytest.mark.parametrize("others", [2, 3, 7])
def test_one_teacher_alone_cannot_push_a_lesson(others: int) -> None:
    protocol, request = grading()
    honest = [[0.6, 0.5, 0.5]] * others
    lesson = lesson_of(go_on(protocol, *graded(*honest, [0.0, 1.0, 0.0])))
    assert texts_of(lesson) == lessons_on(request)[0]


def test_how_hard_its_questions_are_gives_no_weight_to_one_that_lies() -> None:
    protocol, request = grading()
    honest = [[0.2, 0.1, 0.1], [0.6, 0.5, 0.5], [0.9, 0.8, 0.8]]
    lesson = lesson_of(go_on(protocol, *graded(*honest, [0.0, 1.0, 0.0])))
    assert texts_of(lesson) == lessons_on(request)[0]


def test_no_teacher_has_more_than_its_share_of_a_lesson_unless_others_sent_too_few() -> None:
    def most(ann: str, bo: str, share: float = 1.0) -> set[int]:
        protocol = random_examples(TASK, TEACHERS, 4, replace(GRADED, lessons=32, share=share), generator(1))
        next(protocol)
        request = asked(go_on(protocol, sent("ann", *ann), sent("bo", *bo))).request
        assert isinstance(request, RequestGrades)
        return {len(set(ann) & set(lesson)) for lesson in lessons_on(request)}

    assert most("abcdefghij", "klm") == {2}
    assert most("abcdefghijkl", "m") == {3}
    assert max(most("abcdefghij", "klm", share=1.5)) == 3
    assert max(most("abcdefghij", "klm", share=2)) == 4


def test_beyond_the_shares_it_is_the_turn_of_whoever_has_least() -> None:
    """Cy and di sent one each, where their share is two: what they left open is not ann's alone, who sent most."""
    texts = {"ann": "abcdefghijklmnopqr", "bo": "stuv", "cy": "w", "di": "x"}
    protocol = random_examples(TASK, tuple(texts), 8, replace(GRADED, lessons=64), generator(1))
    next(protocol)
    request = asked(go_on(protocol, *(sent(name, *sent_texts) for name, sent_texts in texts.items()))).request
    assert isinstance(request, RequestGrades)
    for lesson in lessons_on(request):
        counts = [len(set(sent_texts) & set(lesson)) for sent_texts in texts.values()]
        assert counts == [3, 3, 1, 1]


@pytest.mark.parametrize("reply", [*graded([0.5, 0.5]), sent("bo", "a", round=1)])
def test_what_is_no_grade_for_each_lesson_is_refused(reply: Reply) -> None:
    protocol, _ = grading()
    with pytest.raises(TeachingError, match="grades for 3 lessons"):
        go_on(protocol, reply)


def test_without_any_grades_there_is_no_lesson() -> None:
    protocol, _ = grading()
    with pytest.raises(TeachingError, match="no teacher graded"):
        go_on(protocol)


# Votes


def votes(*choices: int, round: int = 1) -> list[ReplyVote]:
    return [ReplyVote(teacher=f"voter {i}", round=round, choice=choice) for i, choice in enumerate(choices)]


def test_the_majority_wins() -> None:
    protocol = voted_examples(TASK, TEACHERS, 1, PLAIN, generator(1))
    assert next(protocol) == Ask(PLAIN.request(0), TEACHERS)
    ballot = asked(go_on(protocol, sent("ann", "a", "b"), sent("bo", "c")))
    assert ballot == Ask(RequestVote(round=1, candidates=(made("a"), made("b"), made("c"))), TEACHERS)
    lesson = lesson_of(go_on(protocol, *votes(2, 0, 2)))
    assert lesson.examples == (made("c"),)
    assert lesson.sources == (Source(teacher="bo", round=0),)


def test_ties_are_broken_by_chance_and_seed() -> None:
    def elected(seed: int) -> str:
        protocol = voted_examples(TASK, TEACHERS, 1, PLAIN, generator(seed))
        next(protocol)
        go_on(protocol, sent("ann", "a", "b", "c"))
        return texts_of(lesson_of(go_on(protocol, *votes(0, 2, 2, 0, 1))))[0]

    assert [elected(seed) for seed in range(5)] == [elected(seed) for seed in range(5)]
    counts = Counter(elected(seed) for seed in range(200))
    assert set(counts) == {"a", "c"}
    assert min(counts.values()) > 70


def test_rounds_go_on_until_so_many_are_chosen_and_none_twice() -> None:
    protocol = voted_examples(TASK, TEACHERS, 2, PLAIN, generator(1))
    next(protocol)
    go_on(protocol, sent("ann", "a", "b"))
    second = asked(go_on(protocol, *votes(1)))
    assert second.request == PLAIN.request(2)
    ballot = asked(go_on(protocol, sent("ann", "b", "a", round=2), sent("bo", "a", round=2)))
    assert ballot.request == RequestVote(round=3, candidates=(made("a"),))
    lesson = lesson_of(go_on(protocol, *votes(0, round=3)))
    assert texts_of(lesson) == ["b", "a"]
    assert lesson.sources == (Source(teacher="ann", round=0), Source(teacher="ann", round=2))


def test_a_turn_without_candidates_is_passed_over() -> None:
    protocol = voted_examples(TASK, TEACHERS, 1, PLAIN, generator(1))
    next(protocol)
    assert asked(go_on(protocol, sent("ann"))).request == PLAIN.request(2)
    assert asked(go_on(protocol, sent("ann", "a", round=2))).request.kind == "vote"


def test_balanced_votes_are_about_the_rarer_label() -> None:
    protocol = voted_examples(TASK, TEACHERS, 2, BALANCED, generator(1))
    next(protocol)
    replies = sent("ann", "a"), sent("bo", "x", "y", answer="not spam")
    ballot = asked(go_on(protocol, *replies)).request
    assert isinstance(ballot, RequestVote)
    first = ballot.candidates[0].answer
    assert {candidate.answer for candidate in ballot.candidates} == {first}
    go_on(protocol, *votes(0))
    ballot = asked(go_on(protocol, sent("ann", "c", round=2), sent("bo", "z", round=2, answer="not spam"))).request
    assert isinstance(ballot, RequestVote)
    assert {candidate.answer for candidate in ballot.candidates} == {"spam", "not spam"} - {first}


def test_without_labels_votes_are_about_answers_that_the_lesson_has_not() -> None:
    protocol = voted_examples(BUILT_IN["random_insertion"].task, TEACHERS, 3, BALANCED, generator(1))
    next(protocol)
    ballots = []
    for turn in range(3):
        ballot = asked(go_on(protocol, words("ann", "sea", "sky", "Sea", round=2 * turn))).request
        assert isinstance(ballot, RequestVote)
        ballots.append([candidate.answer for candidate in ballot.candidates])
        go_on(protocol, *votes(0, round=2 * turn + 1))
    assert ballots == [["sea", "sky", "Sea"], ["sky"], ["sea", "sky", "Sea"]]


@pytest.mark.parametrize("vote", [ReplyVote(teacher="bo", round=1, choice=2), sent("bo", "a", round=1)])
def test_a_vote_for_nothing_is_refused(vote: Reply) -> None:
    protocol = voted_examples(TASK, TEACHERS, 1, PLAIN, generator(1))
    next(protocol)
    go_on(protocol, sent("ann", "a", "b"))
    with pytest.raises(TeachingError, match="teacher 'bo' did not answer with a vote for one of 2 candidates"):
        go_on(protocol, ReplyVote(teacher="ann", round=1, choice=0), vote)


def test_votes_that_never_come_to_an_end_are_an_error_that_counts() -> None:
    def answer(ask: Ask) -> list[Reply]:
        round = ask.request.round
        if ask.request.kind == "vote":
            return [*votes(0, round=round)]
        return [ReplyExamples(teacher="ann", round=round, examples=(made("a"),), discarded={"malformed": 1})]

    with pytest.raises(TeachingError) as caught:
        play(voted_examples(TASK, TEACHERS, 2, PLAIN, generator(1)), answer)
    turns = 2 + MAX_ROUNDS
    assert str(caught.value) == (
        f"3 teachers agreed on 1 examples in {turns} rounds, the lesson needs 2; discarded: {turns} malformed"
    )


# Instructions


def wrote(teacher: str, instruction: str | None, round: int, **discarded: int) -> ReplyInstruction:
    return ReplyInstruction(teacher=teacher, round=round, instruction=instruction, discarded=discarded)


def test_one_teacher_is_asked_for_an_instruction() -> None:
    protocol = one_instruction(TASK, TEACHERS, 6, 3, generator(1))
    ask = next(protocol)
    assert ask.request == RequestInstruction(round=0, shots=6, samples=3)
    (name,) = ask.teachers
    lesson = lesson_of(go_on(protocol, wrote(name, "Decide.", 0)))
    assert lesson == Lesson(task=TASK, instruction="Decide.", sources=(Source(teacher=name, round=0),))


def test_which_teacher_is_chance() -> None:
    names = Counter(next(one_instruction(TASK, TEACHERS, 6, 3, generator(seed))).teachers[0] for seed in range(120))
    assert set(names) == set(TEACHERS)
    assert min(names.values()) > 20


@pytest.mark.parametrize("none", [None, ""])
def test_the_next_teacher_is_asked_where_one_has_none(none: str | None) -> None:
    protocol = one_instruction(TASK, TEACHERS, 6, 3, generator(1))
    first = next(protocol)
    second = asked(go_on(protocol, wrote(first.teachers[0], none, 0)))
    assert second.request.round == 1
    assert second.teachers != first.teachers
    lesson = lesson_of(go_on(protocol, wrote(second.teachers[0], "Decide.", 1)))
    assert lesson.sources == (Source(teacher=second.teachers[0], round=1),)


def test_no_instruction_from_anybody_is_an_error_that_counts() -> None:
    names: list[str] = []

    def answer(ask: Ask) -> list[Reply]:
        names.extend(ask.teachers)
        return [wrote(ask.teachers[0], None, ask.request.round, malformed=1)]

    with pytest.raises(TeachingError, match="none of 3 teachers had an instruction to send; discarded: 3 malformed"):
        play(one_instruction(TASK, TEACHERS, 6, 3, generator(1)), answer)
    assert sorted(names) == sorted(TEACHERS)


def test_every_teacher_is_asked_once_for_an_instruction_even_where_one_stays_silent() -> None:
    protocol = one_instruction(TASK, TEACHERS, 6, 3, generator(1))
    names = list(next(protocol).teachers)
    names += asked(go_on(protocol)).teachers
    names += asked(go_on(protocol)).teachers
    assert sorted(names) == sorted(TEACHERS)


def test_an_instruction_of_another_kind_is_refused() -> None:
    protocol = one_instruction(TASK, ("ann",), 6, 3, generator(1))
    next(protocol)
    with pytest.raises(TeachingError, match="teacher 'ann' answered a request for an instruction with 'examples'"):
        go_on(protocol, sent("ann", "a"))


# Baselines


@pytest.mark.parametrize(
    ("protocol", "instruction"), [(nothing(TASK), ""), (manual_instruction(TASK, "Do so."), "Do so.")]
)
def test_baselines_without_teachers_ask_nobody(protocol: Protocol, instruction: str) -> None:
    with pytest.raises(StopIteration) as end:
        next(protocol)
    assert end.value.value == Lesson(task=TASK, instruction=instruction)


def test_originals_come_from_one_teacher() -> None:
    protocol = original_examples(TASK, TEACHERS, 2, generator(1))
    ask = next(protocol)
    assert ask.request == RequestOriginals(round=0, count=2)
    (name,) = ask.teachers
    lesson = lesson_of(go_on(protocol, sent(name, "a", "b")))
    assert texts_of(lesson) == ["a", "b"]
    assert lesson.sources == (Source(teacher=name, round=0),) * 2
    names = {next(original_examples(TASK, TEACHERS, 2, generator(seed))).teachers for seed in range(40)}
    assert names == {(name,) for name in TEACHERS}


# The local transport


class Parrot:
    """A teacher that answers every request with its own name, and keeps what it was asked."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self._log = log

    def answer(self, request: Request) -> Reply:
        self._log.append(f"{self.name} answers {request.round}")
        if request.kind == "vote":
            return ReplyVote(teacher=self.name, round=request.round, choice=0)
        return sent(self.name, f"{self.name} {request.round}", round=request.round)


def parrots(names: Sequence[str], log: list[str]) -> dict[str, Parrot]:
    return {name: Parrot(name, log) for name in names}


def test_teachers_are_asked_in_order_and_whoever_watches_is_told() -> None:
    log: list[str] = []
    lesson = drive(
        voted_examples(TASK, ("bo", "ann"), 1, PLAIN, generator(1)),
        parrots(("ann", "bo", "cy"), log),
        sent=lambda request, reply: log.append(f"{reply.teacher} sent {reply.kind} for {request.kind}"),
        progress=lambda kind, done, total: log.append(f"{kind}, {done} of {total}"),
    )
    assert texts_of(lesson) == ["bo 0"]
    assert log == [
        *("examples, 0 of 2", "bo answers 0", "examples, 1 of 2", "ann answers 0", "examples, 2 of 2"),
        *("bo sent examples for examples", "ann sent examples for examples"),
        *("vote, 0 of 2", "bo answers 1", "vote, 1 of 2", "ann answers 1", "vote, 2 of 2"),
        *("bo sent vote for vote", "ann sent vote for vote"),
    ]


def test_teachers_may_be_run_in_any_order_and_are_heard_in_the_protocols() -> None:
    def backwards(jobs: Sequence[Callable[[], Reply]]) -> list[Reply]:
        return [job() for job in reversed(jobs)][::-1]

    lessons = []
    logs: list[list[str]] = [[], []]
    for log, how in zip(logs, (one_by_one, backwards), strict=True):
        protocol = random_examples(TASK, TEACHERS, 2, PLAIN, generator(1))
        lessons.append(drive(protocol, parrots(TEACHERS, log), together=how))
    assert lessons[0] == lessons[1]
    assert logs[0] == logs[1][::-1]


def test_nobody_need_watch() -> None:
    log: list[str] = []
    lesson = drive(random_examples(TASK, TEACHERS, 4, PLAIN, generator(1)), parrots(TEACHERS, log))
    assert len(lesson.examples) == 4
    assert len(log) == 6
    assert drive(nothing(TASK), {}) == Lesson(task=TASK)


def test_what_left_a_silo_is_told_before_a_failure() -> None:
    log: list[Reply] = []
    with pytest.raises(TeachingError):
        drive(
            one_instruction(TASK, ("ann",), 4, 1, generator(1)),
            parrots(("ann",), []),
            sent=lambda _, reply: log.append(reply),
        )
    assert log == [sent("ann", "ann 0")]
