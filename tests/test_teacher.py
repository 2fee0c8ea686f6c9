"""Teachers: what comes out of a silo, and what does not."""

import math
import traceback
from collections.abc import Callable, Mapping, Sequence

import pytest

from social_learning.answer import Failure
from social_learning.cloze import FEW
from social_learning.corpus import Corpus
from social_learning.drafts import Draft
from social_learning.errors import DataError, ModelError, SocialLearningError
from social_learning.guards import MinDistance, NoCopies, PlainText
from social_learning.judge import VOTE_SHOTS
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
from social_learning.models.base import ChatTurn, Completion, LanguageModel, Prompt, Sampling, Score
from social_learning.models.fakes import CopycatModel, FailingModel, FakeModel, MixerModel
from social_learning.silo import Silo
from social_learning.task import Example, Task
from social_learning.tasks import BUILT_IN
from social_learning.teacher import Teacher

SMS = BUILT_IN["sms_spam"].task
LAMBADA = BUILT_IN["lambada"].task
ROWS = tuple(
    Example(
        fields={"text": f"private number {i} {'win cash' if i % 2 else 'see you'} now"}, answer=SMS.labels[1 - i % 2]
    )
    for i in range(12)
)


def said(text: str, logprob: float = -1.0) -> Completion:
    return Completion(text, (logprob,), "stop")


class Scripted(FakeModel):
    """Says what it is told to, and keeps what it was asked."""

    def __init__(self, says: Sequence[Completion] = (), likes: Callable[[Prompt, str], float] | None = None) -> None:
        super().__init__("scripted")
        self._says, self._likes = says, likes
        self.prompts: list[Prompt] = []
        self.samplings: list[Sampling] = []
        self.samples: list[int] = []
        self.pairs: list[tuple[Prompt, str]] = []

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        self.prompts += prompts
        self.samplings.append(sampling)
        self.samples.append(samples)
        said = [self._until_stop(completion, sampling.stop) for completion in self._says]
        return [[said[(p * samples + s) % len(said)] for s in range(samples)] for p in range(len(prompts))]

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        self.pairs += pairs
        likes = self._likes or (lambda prompt, continuation: -1.0)
        return [Score(likes(prompt, continuation), 1, False) for prompt, continuation in pairs]

    @staticmethod
    def _until_stop(completion: Completion, stop: tuple[str, ...]) -> Completion:
        cut = min((completion.text.index(text) for text in stop if text in completion.text), default=None)
        return Completion(completion.text[:cut], completion.logprobs, "stop")


def teacher_of(
    model: LanguageModel,
    rows: Sequence[Example] = ROWS,
    held_out: Sequence[Example] = (),
    task: Task = SMS,
    seed: int = 0,
) -> Teacher:
    return Teacher(Silo("ann", task, rows, held_out), model, seed=seed)


def plain(**changes: object) -> RequestExamples:
    return RequestExamples.model_validate({"round": 0, "count": 4, "shots": 4, "samples": 8, **changes})


def label_first(**changes: object) -> RequestExamples:
    return plain(way="label-first", **changes)


def examples_of(reply: Reply) -> tuple[Example, ...]:
    assert isinstance(reply, ReplyExamples)
    return reply.examples


def ask_examples(teacher: Teacher, request: RequestExamples) -> ReplyExamples:
    reply = teacher.answer(request)
    assert isinstance(reply, ReplyExamples)
    return reply


def ask_instruction(teacher: Teacher, **changes: object) -> ReplyInstruction:
    reply = teacher.answer(RequestInstruction.model_validate({"round": 0, "shots": 4, "samples": 4, **changes}))
    assert isinstance(reply, ReplyInstruction)
    return reply


# Examples


@pytest.mark.parametrize("request_", [plain(), label_first(), label_first(self_check=True)])
def test_a_model_that_copies_gets_nothing_out(request_: RequestExamples, phone_messages: Corpus) -> None:
    silo = Silo("ann", phone_messages.task, phone_messages.train[:40])
    reply = ask_examples(Teacher(silo, CopycatModel("fake:copycat")), request_)
    assert reply.examples == ()
    plain_text, no_copies, *_ = reply.guards
    assert (no_copies.guard, no_copies.passed) == ("no_copies", 0)
    assert no_copies.dropped == plain_text.passed + plain_text.mended > 0
    assert no_copies.dropped + sum(reply.discarded.values()) == request_.samples


@pytest.mark.parametrize("request_", [plain(), label_first(), label_first(self_check=True, samples=20, count=6)])
def test_a_model_that_mixes_sends_new_examples(request_: RequestExamples, phone_messages: Corpus) -> None:
    task = phone_messages.task
    silo = Silo("ann", task, phone_messages.train[:40], phone_messages.train[40:50])
    reply = ask_examples(Teacher(silo, MixerModel("fake:mixer")), request_)
    assert (reply.teacher, reply.round) == ("ann", 0)
    assert 0 < len(reply.examples) <= request_.count
    assert len(set(map(task.render, reply.examples))) == len(reply.examples)
    for example in reply.examples:
        assert task.example({**example.fields, "answer": example.answer}) == example
        assert example.fields["text"] not in {row.fields["text"] for row in silo.everything}


@pytest.mark.parametrize("request_", [plain(), label_first(), label_first(self_check=True), plain(self_check=True)])
def test_every_draft_is_accounted_for(request_: RequestExamples, phone_messages: Corpus) -> None:
    silo = Silo("ann", phone_messages.task, phone_messages.train[:30])
    reply = ask_examples(
        Teacher(silo, MixerModel("fake:mixer")), request_.model_copy(update={"samples": 24, "count": 24})
    )
    dropped = sum(guard.dropped for guard in reply.guards)
    assert len(reply.examples) + dropped + sum(reply.discarded.values()) == 24


def test_the_same_request_gets_the_same_reply(phone_messages: Corpus) -> None:
    silo = Silo("ann", phone_messages.task, phone_messages.train[:40], phone_messages.train[40:50])
    requests: list[Request] = [label_first(), plain(round=1), RequestInstruction(round=2, shots=4, samples=2)]
    fresh = [Teacher(silo, MixerModel("m"), seed=3).answer(request) for request in requests]
    busy = Teacher(silo, MixerModel("m"), seed=3)
    assert [busy.answer(request) for request in reversed(requests)] == fresh[::-1]
    assert [busy.answer(request) for request in requests] == fresh


def test_rounds_and_seeds_change_the_reply(phone_messages: Corpus) -> None:
    silo = Silo("ann", phone_messages.task, phone_messages.train[:40])

    def sent(seed: int, round: int) -> tuple[Example, ...]:
        return ask_examples(Teacher(silo, MixerModel("m"), seed=seed), plain(round=round)).examples

    assert sent(1, 0) != sent(2, 0)
    assert sent(1, 0) != sent(1, 1)


def test_the_model_is_shown_private_examples_and_asked_to_go_on() -> None:
    model = Scripted([said(" a new message\nClass: spam\n\nText: more")])
    reply = ask_examples(teacher_of(model, held_out=ROWS[:3]), plain(samples=3, temperature=0.8, top_p=0.9, round=2))
    (prompt,) = model.prompts
    assert isinstance(prompt, str)
    *shots, opening = prompt.split("\n\n")
    assert opening == "Text:"
    assert len(set(shots)) == 4
    assert set(shots) <= {SMS.render(row) for row in ROWS}
    (sampling,) = model.samplings
    assert (sampling.temperature, sampling.top_p, sampling.stop) == (0.8, 0.9, ("\n\n",))
    assert sampling.max_tokens == SMS.max_example_tokens
    assert model.samples == [3]
    assert reply.examples == (Example(fields={"text": "a new message"}, answer="spam"),)
    assert reply.discarded == {"repeated": 2}
    assert reply.round == 2


def test_held_out_examples_are_never_shown() -> None:
    model = Scripted([said(" new\nClass: spam")])
    teacher = teacher_of(model, rows=ROWS[:4], held_out=ROWS[4:])
    teacher.answer(plain())
    teacher.answer(label_first())
    teacher.answer(RequestInstruction(round=0, shots=4, samples=1))
    shown = "".join(prompt.content if isinstance(prompt, ChatTurn) else prompt for prompt in model.prompts)
    assert all(row.fields["text"] in shown for row in ROWS[:4])
    assert not any(row.fields["text"] in shown for row in ROWS[4:])


def test_label_first_asks_for_each_class_after_examples_of_it() -> None:
    model = Scripted([said(" first\nanything"), said(" second"), said(" third"), said(" fourth")])
    reply = ask_examples(teacher_of(model), label_first(samples=5, shots=3))
    assert [str(prompt).rpartition("\n\n")[2] for prompt in model.prompts] == [
        "Class: spam\nText:",
        "Class: not spam\nText:",
    ]
    for prompt, label in zip(model.prompts, SMS.labels, strict=True):
        shown = str(prompt).split("\n\n")[:-1]
        assert len(set(shown)) == 3
        assert set(shown) <= {SMS.render_label_first(row) for row in ROWS if row.answer == label}
    assert model.samples == [2]
    assert model.samplings[0].stop == ("\n",)
    assert {(e.fields["text"], e.answer) for e in reply.examples} == {
        ("first", "spam"),
        ("second", "spam"),
        ("third", "not spam"),
        ("fourth", "not spam"),
    }


def classes(text: str) -> list[str]:
    return [line.removeprefix("Class: ") for line in text.split("\n") if line.startswith("Class: ")]


def test_where_a_silo_has_few_of_a_class_others_stand_before_them() -> None:
    rows = [*ROWS[1::2], ROWS[0]]
    model = Scripted([said(" new")])
    teacher_of(model, rows).answer(label_first(shots=5))
    assert [classes(str(prompt)) for prompt in model.prompts] == [
        ["spam"] * 5 + ["spam"],
        ["spam"] * 4 + ["not spam"] + ["not spam"],
    ]


def test_the_self_check_shows_classes_as_even_as_a_silo_allows() -> None:
    rows = [*ROWS[1::2], ROWS[0]]
    model = Scripted([said(" new")])
    teacher_of(model, rows).answer(label_first(shots=5, self_check=True))
    shown = [classes(str(prompt)) for prompt, _ in model.pairs]
    assert shown
    assert all(sorted(told) == ["not spam"] + ["spam"] * 4 for told in shown)


def test_the_least_surprising_examples_are_sent() -> None:
    model = Scripted([said(f" message {p}\nClass: spam", -p) for p in (3.0, 1.0, 4.0, 2.0)])
    reply = ask_examples(teacher_of(model), plain(samples=4, count=2))
    assert [example.fields["text"] for example in reply.examples] == ["message 1.0", "message 2.0"]


def test_label_first_sends_the_least_surprising_of_each_class_in_turn() -> None:
    model = Scripted([said(f" message {p}", -p) for p in (1.0, 2.0, 9.0, 8.0)])
    reply = ask_examples(teacher_of(model), label_first(samples=4, count=3))
    assert [example.fields["text"] for example in reply.examples] == ["message 1.0", "message 8.0", "message 2.0"]
    assert [example.answer for example in reply.examples] == ["spam", "not spam", "spam"]


def test_what_is_no_example_is_counted_and_dropped() -> None:
    says = [said(" no class"), said(" ok\nClass: spam"), said(" ok\nClass: SPAM"), said(""), said(" odd\nClass: ham")]
    reply = ask_examples(teacher_of(Scripted(says)), plain(samples=5))
    assert [example.fields["text"] for example in reply.examples] == ["ok"]
    assert reply.discarded == {"malformed": 3, "repeated": 1}


def test_guards_mend_and_drop_and_say_so() -> None:
    says = [
        said(" bell\x07 rings\nClass: spam"),
        said(f" {ROWS[0].fields['text'].upper()}\nClass: spam"),
        said(" br\ufffdken\nClass: spam"),
        said(" quite another thing\nClass: not spam"),
    ]
    silo = Silo("ann", SMS, ROWS)
    guards = (PlainText(), NoCopies(), MinDistance(0.2))
    reply = ask_examples(Teacher(silo, Scripted(says), guards=guards), plain(samples=4))
    assert {example.fields["text"] for example in reply.examples} == {"bell rings", "quite another thing"}
    assert reply.guards == (
        GuardResult(guard="plain_text", passed=2, mended=1, dropped=1),
        GuardResult(guard="no_copies", passed=2, dropped=1),
        GuardResult(guard="min_distance", passed=2),
    )


def test_min_distance_drops_what_is_too_close_to_what_the_model_was_shown() -> None:
    close = ROWS[0].fields["text"].replace("0", "O")
    says = [said(f" {close}\nClass: spam"), said(" zzz qqq\nClass: spam")]
    teacher = Teacher(Silo("ann", SMS, ROWS[:1]), Scripted(says), guards=[MinDistance(0.3)])
    reply = ask_examples(teacher, plain(samples=2, shots=1))
    assert [example.fields["text"] for example in reply.examples] == ["zzz qqq"]


def test_self_check_drops_what_the_model_itself_labels_otherwise() -> None:
    def likes(prompt: Prompt, continuation: str) -> float:
        sounds = "spam" if "cash" in str(prompt).rpartition("\n\n")[2] else "not spam"
        return 0.0 if continuation == f" {sounds}" else -5.0

    says = [
        said(" free cash\nClass: spam"),
        said(" more cash\nClass: not spam"),
        said(" hello\nClass: not spam"),
        said(" bye\nClass: spam"),
    ]
    model = Scripted(says, likes)
    reply = ask_examples(teacher_of(model), plain(samples=4, self_check=True))
    assert {example.fields["text"] for example in reply.examples} == {"free cash", "hello"}
    assert reply.discarded == {"self_check": 2}
    shots = str(model.prompts[0]).rpartition("\n\n")[0]
    assert model.pairs[-8:-6] == [
        (f"{shots}\n\nText: free cash\nClass:", " spam"),
        (f"{shots}\n\nText: free cash\nClass:", " not spam"),
    ]
    assert ask_examples(teacher_of(Scripted(says, likes)), plain(samples=4)).discarded == {}


def test_self_check_needs_labels() -> None:
    rows = [Example(fields={"passage": f"passage {i} was"}, answer="here") for i in range(4)]
    model = Scripted([said("a new passage ____ -> word")])
    teacher = teacher_of(model, rows, task=LAMBADA)
    with pytest.raises(ModelError, match="self-check needs a task with labels, and task 'lambada' has none"):
        teacher.answer(plain(self_check=True))
    assert not model.prompts


def test_a_format_with_a_blank_line_inside_is_read_past_it() -> None:
    rows = [Example(fields={"passage": f"passage {i} was"}, answer="here") for i in range(4)]
    model = Scripted([said("a new passage ____ -> word\n\nFill in blank:\n\nmore")])
    reply = ask_examples(teacher_of(model, rows, task=LAMBADA), plain(samples=1))
    assert str(model.prompts[0]).endswith("\n\nFill in blank:\n\n")
    assert reply.examples == (Example(fields={"passage": "a new passage"}, answer="word"),)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("Text: {text}\nEnd of text\nClass: {answer}", " brand new\nEnd of text\n\nClass: spam"),
        ("Text: {text}\n\n{more}\nClass: {answer}", " brand new\n\nmore of it\n\nClass: spam"),
    ],
)
def test_label_first_reads_every_format_that_can_be_told_label_first(template: str, says: str) -> None:
    task = SMS.variant(template=template)
    assert task.can_label_first
    rows = [task.example({"text": f"text {i}", "more": "more", "answer": "spam"}) for i in range(4)]
    reply = ask_examples(teacher_of(Scripted([said(says)]), rows, task=task), label_first())
    assert {example.fields["text"] for example in reply.examples} == {"brand new"}


def test_label_first_needs_a_format_that_can_be_told_so() -> None:
    inline = SMS.variant(template="{text} is {answer}")
    for task in (LAMBADA, inline):
        rows = [Example(fields=dict.fromkeys(task.field_names, f"text {i}"), answer="spam") for i in range(4)]
        with pytest.raises(ModelError, match="cannot be told label first: its answer has no line of its own"):
            teacher_of(MixerModel("m"), rows, task=task).answer(label_first())


# Originals


def test_originals_are_refused() -> None:
    with pytest.raises(ModelError, match="teacher 'ann' does not send private examples word for word"):
        teacher_of(MixerModel("m")).answer(RequestOriginals(round=0, count=1))


def test_originals_leave_a_teacher_that_was_built_to_send_them() -> None:
    silo = Silo("ann", SMS, ROWS[:8], ROWS[8:])
    teacher = Teacher(silo, MixerModel("m"), allow_originals=True)
    sent = examples_of(teacher.answer(RequestOriginals(round=0, count=5)))
    assert len({SMS.render(example) for example in sent}) == 5
    assert all(example in ROWS[:8] for example in sent)
    assert examples_of(teacher.answer(RequestOriginals(round=0, count=5))) == sent
    assert examples_of(teacher.answer(RequestOriginals(round=1, count=5))) != sent


# Votes


def test_a_vote_goes_to_what_the_held_out_examples_make_likeliest() -> None:
    candidates = tuple(Example(fields={"text": f"candidate {i}"}, answer="spam") for i in range(3))
    model = Scripted(likes=lambda _, continuation: 0.0 if "candidate 1" in continuation else -2.0)
    teacher = teacher_of(model, rows=ROWS[:2], held_out=ROWS[2:5])
    reply = teacher.answer(RequestVote(round=3, candidates=candidates))
    assert reply == ReplyVote(teacher="ann", round=3, choice=1)
    held_out = "\n\n".join(SMS.render(row) for row in ROWS[2:5])
    assert model.pairs == [(held_out, "\n\n" + SMS.render(candidate)) for candidate in candidates]


def test_a_vote_does_not_reward_short_candidates() -> None:
    class PerToken(Scripted):
        def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
            return [Score(-2.0, 1, False), Score(-6.0, 6, False)]

    candidates = (
        Example(fields={"text": "short"}, answer="spam"),
        Example(fields={"text": "a longer one"}, answer="spam"),
    )
    reply = teacher_of(PerToken(), held_out=ROWS[:1]).answer(RequestVote(round=0, candidates=candidates))
    assert isinstance(reply, ReplyVote)
    assert reply.choice == 1


def test_a_vote_reads_so_many_held_out_examples_at_most() -> None:
    rows = [Example(fields={"text": f"held out {i}"}, answer="spam") for i in range(VOTE_SHOTS + 4)]
    model = Scripted()
    teacher_of(model, held_out=rows).answer(RequestVote(round=0, candidates=ROWS[:1]))
    assert str(model.pairs[0][0]).count("held out") == VOTE_SHOTS


def test_a_silo_without_a_held_out_part_cannot_vote() -> None:
    with pytest.raises(DataError, match="silo 'ann' holds nothing out: judging needs a held_out share above 0"):
        teacher_of(MixerModel("m")).answer(RequestVote(round=0, candidates=ROWS[:1]))


# Instructions


def test_the_likeliest_instruction_that_passes_is_sent() -> None:
    copied = f"Such as: {ROWS[0].fields['text']}"
    says = [said(" Decide by tone.\n", -2.0), said(copied, -1.0), said("  ", -0.5), said("Say which it is.", -3.0)]
    model = Scripted(says)
    reply = ask_instruction(teacher_of(model, ROWS[:4]), temperature=0.5, top_p=0.8, round=4)
    assert reply.instruction == "Decide by tone."
    assert (reply.teacher, reply.round, reply.discarded) == ("ann", 4, {"malformed": 1})
    assert reply.guards == (
        GuardResult(guard="plain_text", passed=3),
        GuardResult(guard="no_copies", passed=2, dropped=1),
        GuardResult(guard="min_distance", passed=2),
        GuardResult(guard="no_shared_numbers", passed=2),
    )
    (prompt,) = model.prompts
    assert isinstance(prompt, ChatTurn)
    assert all(SMS.render(row) in prompt.content for row in ROWS[:4])
    assert (model.samplings[0].temperature, model.samplings[0].top_p, model.samples) == (0.5, 0.8, [4])


def test_no_instruction_is_sent_where_none_passes() -> None:
    says = [said(ROWS[0].fields["text"]), said("br\ufffdken"), said(""), said("\u200b")]
    reply = ask_instruction(teacher_of(Scripted(says), ROWS[:4]))
    assert reply.instruction is None
    assert reply.discarded == {"malformed": 1}


def test_an_instruction_is_written_after_even_classes() -> None:
    model = Scripted([said("Decide.")])
    ask_instruction(teacher_of(model), shots=6)
    (prompt,) = model.prompts
    assert isinstance(prompt, ChatTurn)
    assert prompt.content.count("Class: spam\n") == prompt.content.count("Class: not spam\n") == 3


# What must not come out


def failures() -> list[tuple[Teacher, Request]]:
    small = teacher_of(MixerModel("m"), ROWS[:3])
    return [
        (small, plain(shots=4)),
        (small, label_first(shots=4)),
        (small, RequestInstruction(round=0, shots=4, samples=1)),
        (small, RequestOriginals(round=0, count=1)),
        (small, RequestVote(round=0, candidates=ROWS[:1])),
        (
            Teacher(Silo("ann", SMS, ROWS[:3]), MixerModel("m"), allow_originals=True),
            RequestOriginals(round=0, count=4),
        ),
    ]


@pytest.mark.parametrize(("teacher", "request_"), failures())
def test_failures_name_the_silo_and_no_private_text(teacher: Teacher, request_: Request) -> None:
    with pytest.raises(SocialLearningError, match="'ann'") as caught:
        teacher.answer(request_)
    assert "private number" not in "".join(traceback.format_exception(caught.value))


def test_a_silo_that_is_too_small_says_what_to_do() -> None:
    with pytest.raises(DataError, match="silo 'ann' has 3 examples to teach from, 4 were asked for: use fewer shots"):
        teacher_of(MixerModel("m"), ROWS[:3]).answer(plain())


def test_reprs_show_no_private_text() -> None:
    teacher = teacher_of(MixerModel("fake:mixer"), held_out=ROWS[:2])
    shown = "Teacher('ann', Silo('ann', task 'sms_spam', 12 examples, 2 held out), model 'fake:mixer')"
    assert repr(teacher) == shown
    assert "private number" not in repr(Draft(ROWS[0], 1.0, prompt=SMS.render(ROWS[0])))


class Unfinished(MixerModel):
    """Writes passages and stops before the blank; asked for an answer, it gives one."""

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        if sampling.temperature == 0:
            return [[Completion(" lamp", (-1.0,), "stop")] for _ in prompts]
        return [
            [Completion(f"a night like any other , number {n}", (-1.0,), "stop") for n in range(samples)]
            for _ in prompts
        ]


@pytest.mark.parametrize("complete", [True, False])
def test_drafts_without_an_answer_are_completed_if_asked(complete: bool) -> None:
    task = BUILT_IN["lambada"].task
    private = [task.example({"passage": f"she took the lamp {n} and lit the", "answer": "lamp"}) for n in range(4)]
    teacher = Teacher(Silo("ann", task, private), Unfinished("unfinished"))
    reply = teacher.answer(RequestExamples(round=0, count=3, shots=2, samples=3, complete=complete))
    assert isinstance(reply, ReplyExamples)
    assert [example.answer for example in reply.examples] == ["lamp"] * (3 if complete else 0)
    assert reply.discarded == ({} if complete else {"malformed": 3})


SENTENCE = (
    "on the hill stood a mill and in the mill lived a miller with his cat and they were glad of the wind that blew "
)
"""24 words; two of them twice."""


class CutOff(MixerModel):
    """Writes on until its tokens run out, in the middle of a word."""

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        return [[Completion(SENTENCE + "down to the mill where the mill", (-1.0,), "length")] for _ in prompts]


def test_a_draft_without_its_gap_gets_one_at_a_rare_word_that_came_up_before() -> None:
    everyday = [LAMBADA.example({"passage": f"the {n} and the wind and a", "answer": f"cat{n}"}) for n in range(20)]
    teacher = Teacher(Silo("ann", LAMBADA, everyday), CutOff("cut off"))
    request = RequestExamples(round=0, count=1, shots=2, samples=1, cloze=True)
    (example,) = examples_of(teacher.answer(request))
    # `the` came up too, but stands in every private example; the last `mill` is cut off.
    assert example.answer == "mill"
    assert example.fields["passage"] == SENTENCE + "down to the"


@pytest.mark.parametrize(
    ("before", "back", "mills", "answer"),
    [
        (28, 19, 0, "mill"),  # the last whole `mill` stands after 28 words, and 19 after the one before
        (29, 19, 0, None),
        (28, 20, 0, None),
        (28, 19, 1, "mill"),
        (28, 19, 2, None),  # no private answer stands in more than one private example
    ],
)
def test_gaps_are_where_nine_of_ten_private_ones_are(before: int, back: int, mills: int, answer: str | None) -> None:
    def private(n: int, before: int, back: int) -> Example:
        words = ["so"] * (before - back) + [f"cat{n}"] + ["mill" if n < mills else "so"] * (back - 1)
        return LAMBADA.example({"passage": " ".join(words), "answer": f"cat{n}"})

    rows = [private(n, before, back) for n in range(19)] + [private(19, 2, 1)]
    teacher = Teacher(Silo("ann", LAMBADA, rows), CutOff("cut off"))
    reply = teacher.answer(RequestExamples(round=0, count=1, shots=2, samples=1, cloze=True))
    assert [example.answer for example in examples_of(reply)] == ([answer] if answer else [])


class Gainful(MixerModel):
    """Writes passages in which two words came up before; after the whole passage, the words it likes are likelier."""

    def __init__(self, likes: Mapping[str, float]) -> None:
        super().__init__("gainful")
        self._likes = likes

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        words = list(self._likes)
        pairs = [words[place : place + 2] for place in range(0, len(words), 2)]
        texts = [f"{a} and {b} {'so ' * 9}then the {a} saw the {b}" for a, b in pairs]
        return [[Completion(text, (-1.0 - n,), "stop") for n, text in enumerate(texts)] for _ in prompts]

    def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
        whole = [len(str(prompt).split()) > FEW for prompt, _ in pairs]
        likes = [self._likes[word.strip()] for _, word in pairs]
        return [Score(-9.0 + like * long, 1, False) for like, long in zip(likes, whole, strict=True)]


def test_the_gap_is_where_the_whole_text_tells_most_and_the_drafts_where_it_does_are_sent() -> None:
    rows = [LAMBADA.example({"passage": f"{n} so then the and saw", "answer": f"cat{n}"}) for n in range(20)]
    model = Gainful({"miller": 1.0, "mill": 3.0, "cat": 2.0, "dog": 1.5, "wind": 4.0, "hill": 5.0})
    request = RequestExamples(round=0, count=2, shots=2, samples=3, cloze=True)
    reply = Teacher(Silo("ann", LAMBADA, rows), model).answer(request)
    assert [(example.answer, example.fields["passage"].split()[:3]) for example in examples_of(reply)] == [
        ("hill", ["wind", "and", "hill"]),
        ("mill", ["miller", "and", "mill"]),
    ]


def test_a_draft_without_a_word_for_the_gap_is_malformed() -> None:
    class Short(CutOff):
        def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
            return [[Completion("the mill by the mill", (-1.0,), "length")] for _ in prompts]

    rows = [LAMBADA.example({"passage": f"number {n} and a", "answer": "cat"}) for n in range(4)]
    reply = Teacher(Silo("ann", LAMBADA, rows), Short("short")).answer(
        RequestExamples(round=0, count=1, shots=2, samples=1, cloze=True)
    )
    assert isinstance(reply, ReplyExamples)
    assert (reply.examples, reply.discarded) == ((), {"malformed": 1})


# Grades


def test_a_lesson_is_graded_by_the_answers_that_the_model_finds_probable_after_it() -> None:
    good, bad = Example(fields={"text": "good"}, answer="spam"), Example(fields={"text": "bad"}, answer="not spam")

    def likes(prompt: Prompt, continuation: str) -> float:
        if "held out" not in str(prompt):
            return -1.0  # words that say nothing, for the calibration
        return -0.1 if ("good" in str(prompt)) == (continuation.strip() == "spam") else -3.0

    rows = [Example(fields={"text": f"held out {n}"}, answer="spam") for n in range(12)]
    model = Scripted(likes=likes)
    teacher = teacher_of(model, held_out=rows)
    request = RequestGrades(round=2, candidates=(good, bad), lessons=((0,), (1,)), questions=5)
    reply = teacher.answer(request)
    share = 1 / (1 + math.exp(-2.9))
    assert reply == ReplyGrades(teacher="ann", round=2, grades=(round(share, 4), round(1 - share, 4)))
    assert len({str(prompt) for prompt, _ in model.pairs if "held out" in str(prompt)}) == 2 * 5


def test_lessons_can_be_graded_without_likelihoods() -> None:
    rows = [Example(fields={"text": f"held out {n}"}, answer=SMS.labels[n > 0]) for n in range(4)]
    model = Scripted([said(f" {SMS.labels[0]}")])
    request = RequestGrades(round=0, candidates=ROWS[:1], lessons=((0,),), questions=9, by="answers")
    assert teacher_of(model, held_out=rows).answer(request) == ReplyGrades(teacher="ann", round=0, grades=(0.25,))
    assert model.pairs == []


def failing_teacher(how: Failure, says: str = " spam", seed: int = 0) -> Teacher:
    """A teacher that judges by four held-out rows of spam, whose model fails after the candidate `bad` at the first three."""
    rows = [Example(fields={"text": f"held out {n}"}, answer="spam") for n in range(4)]

    def fails(prompt: str) -> Failure | None:
        lesson, _, asked = prompt.rpartition("\n\n")
        return how if "bad" in lesson and "held out 3" not in asked else None

    return teacher_of(FailingModel(Scripted([said(says)]), fails), held_out=rows, seed=seed)


GOOD, BAD = (Example(fields={"text": text}, answer="spam") for text in ("good", "bad"))


@pytest.mark.parametrize(
    ("how", "says", "grades"),
    [
        ("refused", " spam", (1.0, 1.0)),
        ("missing", " spam", (1.0, 1.0)),
        ("refused", " not spam", (0.0, 0.0)),
        ("unparsed", " spam", (1.0, 0.25)),  # a lesson after which nothing can be read is no good one
    ],
)
def test_what_was_withheld_speaks_neither_for_nor_against_a_lesson(
    how: Failure, says: str, grades: tuple[float, ...]
) -> None:
    request = RequestGrades(round=0, candidates=(GOOD, BAD), lessons=((0,), (1,)), questions=4, by="answers")
    reply = failing_teacher(how, says).answer(request)
    assert isinstance(reply, ReplyGrades)
    assert reply.grades == grades


def test_a_vote_by_answers_takes_no_refusal_for_a_wrong_answer() -> None:
    request = RequestVote(round=0, candidates=(BAD, GOOD), by="answers")
    votes = [failing_teacher("refused", seed=seed).answer(request) for seed in range(20)]
    assert {vote.choice for vote in votes if isinstance(vote, ReplyVote)} == {0, 1}


def test_a_lesson_of_which_no_answer_came_gets_the_mean_of_the_others() -> None:
    rows = [Example(fields={"text": f"held out {n}"}, answer=SMS.labels[n % 2]) for n in range(4)]
    model = FailingModel(Scripted([said(" spam")]), lambda prompt: "refused" if "bad" in prompt else None)
    request = RequestGrades(round=0, candidates=(GOOD, BAD), lessons=((0,), (1,)), questions=4, by="answers")
    assert teacher_of(model, held_out=rows).answer(request) == ReplyGrades(teacher="ann", round=0, grades=(0.5, 0.5))
    every = FailingModel(Scripted([said(" spam")]), lambda prompt: "missing")
    assert teacher_of(every, held_out=rows).answer(request) == ReplyGrades(teacher="ann", round=0, grades=(0.0, 0.0))


def test_what_a_filter_withholds_is_no_draft_and_is_counted_apart() -> None:
    model = FailingModel(Scripted([said(" new text\nClass: spam")]), lambda prompt: "refused")
    examples = ask_examples(teacher_of(model), plain(samples=8))
    assert (examples.examples, examples.discarded) == ((), {"refused": 8})
    reply = teacher_of(model).answer(RequestInstruction(round=0, shots=4, samples=3))
    assert isinstance(reply, ReplyInstruction)
    assert (reply.instruction, reply.discarded) == (None, {"refused": 3})


def test_without_labels_half_of_a_grade_is_whether_the_answer_would_be_said() -> None:
    """Lessons after which right answers are as probable get another grade by what the model says."""
    known = BUILT_IN["lambada"]
    rows = [known.invented.model_copy(update={"answer": answer}) for answer in ("one", "two", "six", "ten")]

    class Sure(MixerModel):
        def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
            return [Score(-0.4, 2, greedy=continuation == " six") for _, continuation in pairs]

    teacher = Teacher(Silo("ann", known.task, rows, held_out=rows), Sure("sure"))
    request = RequestGrades(round=0, candidates=(known.invented,), lessons=((0,),), questions=4)
    assert teacher.answer(request) == ReplyGrades(
        teacher="ann", round=0, grades=(round((math.exp(-0.2) + 1 / 4) / 2, 4),)
    )


def test_a_teacher_that_holds_nothing_out_cannot_grade() -> None:
    request = RequestGrades(round=0, candidates=ROWS[:1], lessons=((0,),), questions=4)
    with pytest.raises(DataError, match="holds nothing out"):
        teacher_of(MixerModel("m")).answer(request)


def test_a_worked_answer_is_graded_token_by_token() -> None:
    """As a whole it has hardly any probability, and all lessons would get the same grade."""

    class Long(MixerModel):
        def score(self, pairs: Sequence[tuple[Prompt, str]]) -> list[Score]:
            return [Score(-60.0, 100, False) for _ in pairs]

    gsm8k = BUILT_IN["gsm8k"].task
    row = gsm8k.example({"question": "How many are 2 and 2?", "answer": "2 and 2 are 4\n#### 4"})
    teacher = Teacher(Silo("ann", gsm8k, [row], held_out=[row]), Long("long"))
    request = RequestGrades(round=0, candidates=(row,), lessons=((0,),), questions=1)
    assert teacher.answer(request) == ReplyGrades(teacher="ann", round=0, grades=(round(math.exp(-0.6) / 2, 4),))
