"""Answer first: an example of a cloze task told backwards, and read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from social_learning import answer_first
from social_learning.task import Task
from social_learning.tasks import BUILT_IN

LAMBADA = BUILT_IN["lambada"].task
TITLED = Task(
    name="titled",
    template="Title: {book_title}\n{story} -> {answer}",
    cloze=True,
    gap=" ...",
    multiline=("story",),
)
word = st.text(st.characters(categories=["L"]), min_size=1, max_size=8)
line = st.lists(word | st.sampled_from([",", "Word:", "Passage:", "Text:", "____"]), min_size=1, max_size=9).map(
    " ".join
)


@given(line, word)
def test_what_is_told_is_read(passage: str, answer: str) -> None:
    example = LAMBADA.example({"passage": passage.replace("____", "_"), "answer": answer})
    told = answer_first.render(LAMBADA, example)
    full = f"{example.fields['passage']} {answer}"
    assert answer_first.read(LAMBADA, told) == (answer, {"passage": full})
    assert answer_first.read(LAMBADA, f"{told} \n\n{told}") == (answer, {"passage": full})


def test_fields_stand_in_lines_of_their_own_and_the_gap_does_not() -> None:
    example = TITLED.example({"book_title": "Mills", "story": "a mill stood here\nit was a tall ...", "answer": "mill"})
    told = answer_first.render(TITLED, example)
    assert told == "Word: mill\nBook title: Mills\nText: a mill stood here\nit was a tall mill"
    fields = {"book_title": "Mills", "story": "a mill stood here\nit was a tall mill"}
    assert answer_first.read(TITLED, told) == ("mill", fields)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Word:",
        "Word: mill",
        "Word: a mill\nText: mill",
        "Word: mill\nText:",
        "Word: mill\nPassage: mill",
        "mill\nText: mill",
        "Word: mill\nText: mill\nmill",
        "Word: mill\n\nText: mill",
    ],
)
def test_what_is_not_told_so_is_not_read(text: str) -> None:
    assert answer_first.read(LAMBADA, text) is None
