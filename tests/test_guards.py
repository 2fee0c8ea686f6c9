"""Guards: what may leave a silo, and the count of what each guard did."""

import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from social_learning.guards import (
    Door,
    Guard,
    MinDistance,
    NoCopies,
    NoSharedItems,
    Origin,
    PlainText,
    Private,
    default_guards,
    guards_for,
)
from social_learning.messages import GuardResult, ReplyExamples, RequestExamples
from social_learning.models.fakes import CopycatModel
from social_learning.privacy.distance import normalized_distance
from social_learning.privacy.wording import NEAR
from social_learning.prompts.shots import label_first_prompt
from social_learning.serving.policy import Policy
from social_learning.settings import Teachers
from social_learning.silo import Silo
from social_learning.task import Example
from social_learning.tasks import BUILT_IN
from social_learning.teacher import Teacher
from social_learning.text import normalise, visible

SMS = BUILT_IN["sms_spam"].task
BOOLQ = BUILT_IN["boolq"].task
GSM8K = BUILT_IN["gsm8k"].task
LETTER = SMS.variant(name="letter", multiline=("text",))


def message(text: str, answer: str = "spam") -> Example:
    return Example(fields={"text": text}, answer=answer)


LONG = "Meet me at the Café by nine"
PRIVATE = [message(LONG), message("call me", "not spam"), message("ok then see you", "not spam")]
ORIGIN = Origin(Private(SMS, PRIVATE), prompt="\n\n".join(SMS.render(example) for example in PRIVATE))


# Copies


@pytest.mark.parametrize(
    "copy",
    [
        LONG,
        LONG.upper(),
        "meet  me\tat the\u00a0café by  nine",
        unicodedata.normalize("NFD", LONG),
        "\uff2d\uff45\uff45\uff54 me at the Café by nine",  # full-width letters
        "call me",
        "CALL  ME",
        "Ok then see you",
    ],
)
def test_a_private_question_is_dropped_however_it_is_spelled(copy: str) -> None:
    assert NoCopies().check_example(message(copy), ORIGIN) is None
    assert NoCopies().check_example(message(copy, "not spam"), ORIGIN) is None


@pytest.mark.parametrize("around", ["{}", "Hello! {} or not", "{}.", "»{}«", "x{}x"])
def test_a_long_private_field_is_dropped_wherever_it_stands(around: str) -> None:
    text = around.format(LONG)
    assert NoCopies().check_text(text, ORIGIN) is None
    assert NoCopies().check_text(f"Decide whether it is spam.\nSuch as: {text}", ORIGIN) is None
    assert NoCopies().check_example(message(text), ORIGIN) is None


def test_a_long_piece_of_a_private_field_is_dropped_when_it_is_all_there_is() -> None:
    assert NoCopies().check_text("at the café by nine", ORIGIN) is None
    assert NoCopies().check_text("the café by nine", ORIGIN) == "the café by nine"


def test_a_long_private_field_is_found_in_another_field() -> None:
    known = Example(fields={"passage": "The lake froze over in March", "question": "was it"}, answer="yes")
    origin = Origin(Private(BOOLQ, [known]))
    copied = Example(
        fields={"passage": "A new one.", "question": "is it so that the lake froze over in march"}, answer="no"
    )
    assert NoCopies().check_example(copied, origin) is None
    # A short private field is common wording: it may come again beside a new passage.
    fresh = Example(fields={"passage": "A new one.", "question": "was it"}, answer="no")
    assert NoCopies().check_example(fresh, origin) is fresh


def test_short_private_fields_are_common_wording() -> None:
    for text in ("Please call me when you can", "ok then see you on monday", "see you"):
        assert NoCopies().check_text(text, ORIGIN) == text
        assert NoCopies().check_example(message(text), ORIGIN) == message(text)


def test_four_words_are_short_and_five_are_long() -> None:
    for words, kept in (("one two three four", True), ("one two three four five", False)):
        origin = Origin(Private(SMS, [message(words)]))
        assert (NoCopies().check_text(f"so {words} so", origin) is not None) is kept


def test_a_private_field_is_found_in_the_answer_of_a_new_example() -> None:
    known = Example(fields={"question": "How many eggs does Ann have left?"}, answer="2\n#### 2")
    origin = Origin(Private(GSM8K, [known]))
    copied = Example(fields={"question": "New?"}, answer="How many eggs does Ann have left?\n#### 2")
    assert NoCopies().check_example(copied, origin) is None


def test_a_long_private_answer_is_a_private_field_too() -> None:
    solved = BUILT_IN["gsm8k"].invented
    origin = Origin(Private(GSM8K, [solved]))
    assert NoCopies().check_text(f"Write it like this: {solved.answer}", origin) is None
    assert NoCopies().check_example(Example(fields={"question": "New?"}, answer=solved.answer), origin) is None


@pytest.mark.parametrize("text", ["straße", "ǰ", "ΐ", "Œuvre", "ﬁne", "İstanbul"])
def test_upper_case_is_the_same_wording(text: str) -> None:
    assert normalise(text.upper()) == normalise(text)


@given(text=st.text(max_size=30))
def test_normalising_twice_is_normalising_once(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    "row",
    [
        "win a\tprize now at noon today",
        "dear So\u00adfie see you at the lake",
        "from the \U0001f468\u200d\U0001f469\u200d\U0001f467 of us at number nine",
        "opens\u200b again on monday at six",
        "\u2066left to right\u2069 as they all say",
    ],
)
def test_invisible_characters_in_a_private_row_do_not_hide_its_copy(row: str) -> None:
    silo = Silo("ann", SMS, [SMS.example({"text": row, "answer": "spam"})])
    reply = Teacher(silo, CopycatModel("fake:copycat")).answer(RequestExamples(round=0, count=1, shots=1, samples=1))
    assert isinstance(reply, ReplyExamples)
    assert reply.examples == ()
    assert reply.guards[1] == GuardResult(guard="no_copies", passed=0, dropped=1)


# Distance


def test_min_distance_lets_its_border_pass() -> None:
    text = "Meet me at the bar"
    distance = normalized_distance(text, ORIGIN.prompt)
    assert 0 < distance < 1
    assert MinDistance(distance).check_text(text, ORIGIN) == text
    assert MinDistance(distance + 1e-9).check_text(text, ORIGIN) is None


def test_min_distance_measures_an_example_as_a_whole() -> None:
    new = message("Meetmeat", "not spam")
    distance = normalized_distance(SMS.render(new), ORIGIN.prompt)
    assert normalized_distance("Meetmeat", ORIGIN.prompt) < distance
    assert MinDistance(distance).check_example(new, ORIGIN) == new
    assert MinDistance(distance + 1e-9).check_example(new, ORIGIN) is None


def test_the_words_of_the_format_make_nothing_near() -> None:
    task = BUILT_IN["sms_spam_classes"].task
    origin = Origin(Private(task, PRIVATE), label_first_prompt(task, PRIVATE, "not spam"))
    for text in ("zzz", "bring a torch"):
        new = message(text, "not spam")
        assert origin.distance(new) < NEAR < origin.distance(text)
        assert MinDistance(NEAR).check_example(new, origin) == new


def test_min_distance_is_measured_from_the_prompt_that_was_shown() -> None:
    shown = Origin(ORIGIN.private, "0123456789")
    assert MinDistance(0.9).check_text("Meetme", shown) == "Meetme"
    assert MinDistance(0.9).check_text("Meetme", ORIGIN) is None
    assert NoCopies().check_text(LONG, shown) is None


# Plain text


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("plain, ünïcode 😀 text", "plain, ünïcode 😀 text"),
        ("two\nlines", "two\nlines"),
        ("bell\x07 and null\x00", "bell and null"),
        ("\u202eabc\u202c \u2066abc\u2069", "abc abc"),
        ("zero\u200bwidth\ufeff and soft\u00adhyphen", "zerowidth and softhyphen"),
        ("private \ue000use", "private use"),
    ],
)
def test_plain_text_takes_out_what_cannot_be_seen(text: str, mended: str) -> None:
    assert PlainText().check_text(text, ORIGIN) == mended
    assert PlainText().check_example(message(text), ORIGIN) == message(mended.replace("\n", " "))


@given(text=st.text(max_size=40))
def test_plain_text_leaves_only_what_can_be_seen(text: str) -> None:
    mended = PlainText().check_text(text, ORIGIN)
    if mended is None:
        assert "\ufffd" in text or not visible(text).strip()
        return
    assert all(unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cs") for c in mended.replace("\n", ""))
    assert PlainText().check_text(mended, ORIGIN) == mended


def test_plain_text_drops_what_broken_decoding_left() -> None:
    assert PlainText().check_text("caf\ufffd", ORIGIN) is None
    assert PlainText().check_example(message("caf\ufffd"), ORIGIN) is None
    assert PlainText().check_example(message("fine", "sp\ufffdm"), ORIGIN) is None


@pytest.mark.parametrize("text", ["\u200b", "\u200b \u200b", "\x07\x08"])
def test_an_example_with_nothing_to_see_is_dropped(text: str) -> None:
    assert PlainText().check_example(message(text), ORIGIN) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\u200b hello", "hello"),
        ("hello \u200b", "hello"),
        ("one\n\u200b\ntwo", "one\ntwo"),
        ("one\n \u200b \ntwo", "one\ntwo"),
    ],
)
def test_a_mended_example_can_still_be_read(text: str, shown: str) -> None:
    mended = PlainText().check_example(message(text), Origin(Private(LETTER, [])))
    assert mended == message(shown)
    assert LETTER.parse(LETTER.render(mended)) == mended


# The door


def test_a_door_counts_what_each_guard_did() -> None:
    door = Door([PlainText(), NoCopies()])
    assert door.let_out_example(message("a new one"), ORIGIN) == message("a new one")
    assert door.let_out_example(message("a\u200b new one"), ORIGIN) == message("a new one")
    assert door.let_out_example(message(LONG), ORIGIN) is None
    assert door.let_out_text("broken \ufffd", ORIGIN) is None
    assert door.let_out_text("words", ORIGIN) == "words"
    assert door.results() == (
        GuardResult(guard="plain_text", passed=3, mended=1, dropped=1),
        GuardResult(guard="no_copies", passed=3, mended=0, dropped=1),
    )


def test_later_guards_see_what_earlier_ones_mended() -> None:
    hidden = LONG.replace("me", "m\u200be")
    assert Door([PlainText(), NoCopies()]).let_out_text(hidden, ORIGIN) is None


def test_a_door_without_guards_lets_everything_out() -> None:
    door = Door([])
    assert door.let_out_example(PRIVATE[0], ORIGIN) is PRIVATE[0]
    assert door.results() == ()


def test_guards_have_the_names_of_the_experiment_file() -> None:
    guards: list[Guard] = [PlainText(), NoCopies(), MinDistance(0.5)]
    assert [guard.name for guard in guards] == ["plain_text", "no_copies", "min_distance"]


def test_guards_and_origins_show_no_private_text() -> None:
    for thing in (ORIGIN, NoCopies(), MinDistance(0.5), Door([NoCopies()])):
        assert "Meet" not in repr(thing)


# Shared items


@pytest.mark.parametrize(
    ("kind", "text", "kept"),
    [
        ("numbers", "ring 0800 5550142 soon", False),
        ("numbers", "ring +44 800 555 0142 soon", False),
        ("numbers", "see the-larks.example/offers", False),
        ("numbers", "see larks.example", True),
        ("numbers", "write to Jo@post.example", False),
        ("numbers", "ring 12 times", True),
        ("numbers", "ask Mira", True),
        ("names", "ask MIRA", False),
        ("names", "ask Tom", True),
        ("names", "ring 08005550142", True),
    ],
)
def test_no_shared_items_drops_what_holds_one_of_the_silo(
    kind: Literal["numbers", "names"], text: str, kept: bool
) -> None:
    origin = Origin(
        Private(SMS, [message("I told Mira to ring 0800 555 0142, jo@post.example, the-larks.example/win")])
    )
    guard = NoSharedItems(kind)
    assert guard.name == f"no_shared_{kind}"
    assert (guard.check_text(text, origin) is not None) is kept
    assert (guard.check_example(message(text), origin) is not None) is kept


def test_a_shared_number_is_found_in_a_free_answer_and_not_in_a_label() -> None:
    solved = Example(fields={"question": "How much is it?"}, answer="It is 4711\n#### 4711")
    origin = Origin(Private(GSM8K, [solved]))
    other = Example(fields={"question": "New?"}, answer="#### 4711")
    assert NoSharedItems("numbers").check_example(other, origin) is None
    assert NoSharedItems("names").check_example(other, origin) == other


def test_without_common_numbers_only_telling_ones_count() -> None:
    origin = Origin(Private(SMS, [message("In 1987 it was £2.50, then 1,000, then 4711, and 0800 to ring")]))
    guard, strict = NoSharedItems("numbers", common=False), NoSharedItems("numbers")
    for text in ("born in 1987", "only £2.50!", "you won 1000"):
        assert guard.check_text(text, origin) == text
        assert strict.check_text(text, origin) is None
    for text in ("your code is 4711", "ring 0800"):
        assert guard.check_text(text, origin) is None


# Near copies


ROW = "Your SIM won 2nd prize of $50,000 in the Palm Harbour draw, call Mr Oduya 555-0137"


@pytest.mark.parametrize(
    "near",
    [
        ROW.replace("50,000", "1,940"),
        ROW.replace("555-0137", "555 9281"),
        ROW.replace("Oduya", "Bartholomew-Featherstonehaugh"),
        ROW.replace("Your", "Ur").replace("call", "ring"),
        "Hi! " + ROW.replace("Oduya", "Frost") + " before noon",
    ],
)
def test_a_near_copy_of_any_row_of_the_silo_is_dropped_by_default(near: str) -> None:
    origin = Origin(Private(SMS, [message(ROW), *PRIVATE]), prompt="Nothing of it was shown")
    guards = {guard.name: guard for guard in guards_for(Teachers(), SMS)}
    assert NoCopies().check_example(message(near), origin) is not None
    assert guards["min_distance"].check_example(message(near), origin) is None
    assert guards["min_distance"].check_text(f"Look out for such as: {near}\nThat is spam.", origin) is None


def test_a_piece_of_a_row_with_a_word_changed_is_dropped_when_it_is_all_there_is() -> None:
    origin = Origin(Private(SMS, [message(ROW)]), prompt="Nothing of it was shown")
    piece = "prize of $50,000 in the Pine Harbour draw"
    assert MinDistance(NEAR).check_text(piece, origin) is None
    assert MinDistance(NEAR).check_text(f"Look out for a {piece} and more of this kind", origin) is not None


def test_eight_words_in_a_row_are_dropped_whatever_stands_around_them() -> None:
    origin = Origin(Private(SMS, [message(ROW)]), prompt="Nothing of it was shown")
    for words, kept in (
        ("2nd PRIZE of $50,000, in the Palm Harbour", False),
        ("prize of $50,000 in the Palm Harbour", True),
    ):
        new = message(
            f"Every summer we give away another {words} and then, when nobody comes for it, one more to somebody"
        )
        assert origin.changed(new) >= 0.5
        assert (MinDistance(NEAR).check_example(new, origin) is not None) is kept
        assert (MinDistance(NEAR).check_text(new.fields["text"], origin) is not None) is kept


@pytest.mark.parametrize(
    "other",
    [
        "You won a prize in our draw, call this number to claim",
        "Mr Oduya says the Palm Harbour draw is off",
        "the harbour is lovely in the spring",
        "call me",
    ],
)
def test_another_text_on_the_same_thing_is_no_near_copy(other: str) -> None:
    origin = Origin(Private(SMS, [message(ROW), *PRIVATE]), prompt="Nothing of it was shown")
    assert MinDistance(NEAR).check_example(message(other), origin) == message(other)


def test_settings_turn_the_guards_on_for_everybody() -> None:
    for table in (Teachers(), Policy().guards):
        assert [guard.name for guard in guards_for(table, SMS)] == [
            "plain_text",
            "no_copies",
            "min_distance",
            "no_shared_numbers",
        ]
        assert MinDistance(NEAR) in guards_for(table, SMS)
        assert NoSharedItems("numbers", digits=3, common=False) in guards_for(table, SMS)
        for task in (SMS, GSM8K, BOOLQ):
            assert guards_for(table, task) == default_guards(task)
    off = Teachers(no_copies=False, min_distance=0, no_shared_numbers=False)
    assert [guard.name for guard in guards_for(off, SMS)] == ["plain_text"]
    assert NoSharedItems("numbers") in guards_for(Teachers(no_shared_numbers=True), GSM8K)


def test_where_answers_are_numbers_only_long_ones_of_the_silo_are_kept_back() -> None:
    solved = Example(fields={"question": "Ann pays 348 of 512 euros and rings 555-0142 3."}, answer="164\n#### 164")
    origin = Origin(Private(GSM8K, [solved]))
    guard = next(guard for guard in guards_for(Teachers(), GSM8K) if guard.name == "no_shared_numbers")
    kept = Example(fields={"question": "Bo sells 348 eggs."}, answer="#### 348")
    assert guard.check_example(kept, origin) == kept
    assert guard.check_text("Ring 5550142.", origin) is None
