"""Continuation prompts for models that only chat: the words, pinned, and what is read from replies."""

import pytest

from social_learning.prompts.continuation import continuation_of, continuation_request
from social_learning.tasks import BUILT_IN

QUESTION = "Text: hi\nClass:"


def test_the_words_are_these() -> None:
    assert continuation_request(QUESTION, ("\n",)) == (
        "Below the line is the beginning of a text. Write what comes next, and nothing else: start right after its last "
        "character, keep to its format, do not repeat any of it, and add no explanation. Write one line only.\n---\n"
        "Text: hi\nClass:"
    )
    assert "Leave no line blank.\n---\n" in continuation_request(QUESTION, ("\n\n",))


@pytest.mark.parametrize(
    ("reply", "told", "skipped"),
    [
        ("spam", " spam", 0),
        (" spam", " spam", 1),
        ("\n\nspam\n", " spam\n", 2),
        ("Class: spam", " spam", 7),
        ("Class:\nspam", " spam", 7),
        ("", "", 0),
        ("  ", "", 2),
        ("Classy", " Classy", 0),
    ],
)
def test_a_reply_is_read_as_what_comes_next(reply: str, told: str, skipped: int) -> None:
    assert continuation_of(QUESTION, reply) == (told, skipped)


def test_a_word_that_begins_like_the_last_line_is_left_whole() -> None:
    assert continuation_of("the sea", "the seasons")[0] == " the seasons"


def test_after_a_line_break_no_blank_is_put_in_front() -> None:
    assert continuation_of("Fill in blank:\n\n", "mira put") == ("mira put", 0)


@pytest.mark.parametrize("name", BUILT_IN)
def test_an_example_told_by_a_model_that_chats_is_parsed_like_any_other(name: str) -> None:
    known = BUILT_IN[name]
    task, text = known.task, known.task.render(known.invented)
    for reply in (text, text.removeprefix(task.opening).strip()):
        told, _ = continuation_of(task.opening, reply)
        assert task.parse(task.opening + told) == known.invented
    answer, _ = continuation_of(task.question(known.invented.fields), known.invented.answer)
    assert task.parse_answer(answer) == task.parse_answer(known.invented.answer)
