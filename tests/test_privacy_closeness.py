"""Closeness: what left a silo, held against it, and the controls that show what the measure can see."""

from collections import Counter

import numpy as np
import pytest

from social_learning.errors import EvaluationError
from social_learning.guards import MinDistance, Origin, Private
from social_learning.privacy.closeness import closeness, closest_pair, longest_run, measure
from social_learning.privacy.distance import normalized_distance
from social_learning.privacy.evidence import Closeness, by_teacher, from_csv, summarise, to_csv
from social_learning.privacy.near_copies import near_copy
from social_learning.privacy.wording import NEAR, Wordings
from social_learning.prompts.shots import label_first_prompt, new_example_prompt
from social_learning.task import Example
from social_learning.tasks import BUILT_IN
from social_learning.teacher import Departure

SMS = BUILT_IN["sms_spam"].task


def message(text: str, answer: str = "spam") -> Example:
    return Example(fields={"text": text}, answer=answer)


ROWS = [
    message("Win a boat today, ring 0800 555 0142"),
    message("I told Mira that the dog ran off", "not spam"),
    message("see you at the bakery by nine", "not spam"),
]
PRIVATE = Private(SMS, ROWS)
LONG_ROWS = [message("I told Mira that the dog, 4711, ran off to Larkhaven")]
PUBLIC = [message("An offer that has nothing to do with it"), message("Ja.", "not spam")]


def departure(item: Example | str, teacher: str = "teacher-1") -> Departure:
    return Departure(teacher, item, Origin(PRIVATE, "\n\n".join(map(SMS.render, ROWS))))


def test_one_item_is_held_against_its_silo() -> None:
    copy = closeness(ROWS[0], departure("x").origin, "teacher-1", "left")
    assert (copy.copy, copy.distance, copy.run, copy.numbers) == (True, 0.0, 8, 5)
    near = closeness(message("Tell Mira that the dog came back"), departure("x").origin, "teacher-1", "left")
    assert not near.copy
    assert 0 < near.distance < 0.5
    assert (near.run, near.names, near.numbers) == (4, 1, 0)
    text = closeness("Look out for: see you at the bakery by nine.", departure("x").origin, "teacher-1", "left")
    assert (text.copy, text.run) == (True, 7)


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("THE DOG ran, off!", 4),
        ("off see you", 2),  # a run does not go from one private text into another
        ("dogs bakeries", 0),
        ("you at the dog ran", 3),
        ("", 0),
    ],
)
def test_the_longest_run_of_words_ignores_case_and_punctuation(text: str, run: int) -> None:
    assert longest_run(text, PRIVATE) == run


def test_both_controls_are_always_measured_and_the_verbatim_one_is_flagged() -> None:
    left = [departure(message("I told Mira a joke", "not spam")), departure("Look for prizes.", "teacher-2")]
    items = measure(left, PUBLIC, SMS.instruction, np.random.default_rng(1))
    assert [(item.teacher, item.group) for item in items] == [
        ("teacher-1", "left"), ("teacher-1", "verbatim"), ("teacher-1", "near"), ("teacher-1", "public"),
        ("teacher-2", "left"), ("teacher-2", "verbatim"), ("teacher-2", "near"), ("teacher-2", "public"),
    ]  # fmt: skip
    assert all(item.copy and item.distance == 0 for item in items if item.group == "verbatim")
    assert all(item.changed == 0 for item in items if item.group == "verbatim")
    assert all(not item.copy and item.changed and item.changed < NEAR for item in items if item.group == "near")
    assert all(item.changed and item.changed > 0.5 for item in items if item.group == "public")
    assert all(not item.copy and item.distance > 0.3 for item in items if item.group == "public")


def test_a_measurement_that_does_not_flag_verbatim_rows_is_refused() -> None:
    class Blind(Private):
        questions = frozenset()
        long_fields = ()

    blind = Departure("teacher-1", ROWS[0], Origin(Blind(SMS, ROWS), SMS.render(ROWS[0])))
    with pytest.raises(EvaluationError, match="verbatim row of 'teacher-1' was not recognised"):
        measure([blind], PUBLIC, "", np.random.default_rng(1))


@pytest.mark.parametrize("seed", range(8))
def test_a_near_copy_is_a_row_with_one_word_number_or_name_changed(seed: int) -> None:
    origin = Origin(Private(SMS, LONG_ROWS), SMS.render(LONG_ROWS[0]))
    near = near_copy(origin, LONG_ROWS, PUBLIC, np.random.default_rng(seed))
    assert near is not None
    before, after = (example.fields["text"].split() for example in (LONG_ROWS[0], near))
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1
    assert near.answer == LONG_ROWS[0].answer
    assert MinDistance(NEAR).check_example(near, origin) is None


def test_near_copies_change_words_numbers_and_names_alike() -> None:
    origin = Origin(Private(SMS, LONG_ROWS), SMS.render(LONG_ROWS[0]))
    rng, counts = np.random.default_rng(5), Counter[str]()
    for _ in range(90):
        near = near_copy(origin, LONG_ROWS, PUBLIC, rng)
        assert near is not None
        text = near.fields["text"]
        counts["number" if "4711" not in text else "word" if "Mira" in text and "Larkhaven" in text else "name"] += 1
    assert min(counts["number"], counts["word"], counts["name"]) > 15


def test_short_rows_have_no_near_copy() -> None:
    rows = [message("call me"), message("ok see you then", "not spam")]
    left = Departure("teacher-1", message("so"), Origin(Private(SMS, rows), "\n\n".join(map(SMS.render, rows))))
    items = measure([left], PUBLIC, "", np.random.default_rng(1))
    assert [item.group for item in items] == ["left", "verbatim", "public"]
    assert [item.changed for item in items] == [1, 0, 1]


def test_a_measurement_that_does_not_see_near_copies_is_refused() -> None:
    class Unread(Private):
        wordings = Wordings([])

    unread = Departure("teacher-1", ROWS[0], Origin(Unread(SMS, ROWS), "\n\n".join(map(SMS.render, ROWS))))
    with pytest.raises(EvaluationError, match="row of 'teacher-1' with one word changed was not recognised as near"):
        measure([unread], PUBLIC, "", np.random.default_rng(1))


def test_a_measurement_that_does_not_know_the_form_of_a_prompt_is_refused() -> None:
    strange = Departure("teacher-1", ROWS[0], Origin(PRIVATE, "spam, he said: " + ROWS[0].fields["text"]))
    with pytest.raises(EvaluationError, match="no row of 'teacher-1' stands word for word"):
        measure([strange], PUBLIC, "", np.random.default_rng(1))


def test_the_verbatim_control_is_a_row_of_the_prompt_held_against_that_prompt() -> None:
    prompt = new_example_prompt(SMS, ROWS[:1])
    items = measure(
        [Departure("teacher-1", ROWS[1], Origin(PRIVATE, prompt))] * 4, PUBLIC, "", np.random.default_rng(1)
    )
    assert {item.numbers for item in items if item.group == "verbatim"} == {5}  # the first row alone was shown
    assert all(item.distance > 0.3 for item in items if item.group == "left")  # the second one was not


def test_a_copy_has_no_distance_from_a_prompt_that_tells_examples_label_first() -> None:
    prompt = label_first_prompt(SMS, ROWS, "spam")
    assert normalized_distance(SMS.render(ROWS[0]), prompt) > 0  # its label stands elsewhere
    items = measure([Departure("teacher-1", ROWS[0], Origin(PRIVATE, prompt))], PUBLIC, "", np.random.default_rng(1))
    assert [item.distance == 0 for item in items] == [True, True, False, False]
    assert MinDistance(0.01).check_example(ROWS[0], Origin(PRIVATE, prompt)) is None


def test_summaries_are_shares_means_and_extremes_by_teacher_in_natural_order() -> None:
    items = [
        Closeness("teacher-10", "left", False, 0.5, 3, names=2),
        Closeness("teacher-9", "left", True, 0.0, 9, numbers=1),
        Closeness("teacher-9", "public", False, 0.9, 1),
    ]
    together = summarise(items[:2])
    assert (together.items, together.copies, together.distance, together.nearest, together.run) == (2, 0.5, 0.25, 0, 9)
    assert (together.names, together.numbers, together.emails) == (0.5, 0.5, 0)
    assert list(by_teacher(items, "left")) == ["all", "teacher-9", "teacher-10"]
    assert by_teacher(items, "verbatim") == {}
    assert from_csv(to_csv(items)) == items
    with pytest.raises(EvaluationError, match="nothing left"):
        summarise([])


def test_items_of_an_older_version_are_read_without_the_share_of_changed_words() -> None:
    new = [
        Closeness("teacher-1", "left", False, 0.5, 3, changed=0.4),
        Closeness("teacher-1", "near", False, 0.1, 3, changed=0.1),
    ]
    assert from_csv(to_csv(new)) == new
    assert summarise(new).changed == 0.1
    old = "teacher,group,copy,distance,run,names,numbers,emails,links\nteacher-1,left,0,0.5000,3,0,0,0,0\n"
    assert from_csv(old) == [Closeness("teacher-1", "left", False, 0.5, 3)]
    assert summarise([*new, *from_csv(old)]).changed is None


def test_items_of_an_unknown_group_are_refused() -> None:
    items = [Closeness("teacher-9", "public", False, 0.9, 1)]
    with pytest.raises(ValueError, match="not in tuple"):
        from_csv(to_csv(items).replace("public", "other"))


def test_the_closest_pair_is_that_of_the_least_distance_between_two_texts() -> None:
    # A passage of the prompt, and yet near to neither row: the end of one, and the beginning of the next.
    across = "0800 555 0142\nClass: spam\n\nText: I told Mira"
    near = message("I told Mila that the dog ran off", "not spam")
    prompt = departure("x").origin.prompt
    assert normalized_distance(across, prompt) < normalized_distance(SMS.render(near), prompt)
    pair = closest_pair([departure(across), departure(near)])
    assert pair is not None
    assert (pair.shared, pair.private) == (SMS.render(near), SMS.render(ROWS[1]))


def test_the_closest_pair_is_the_nearest_item_with_the_private_row_it_is_nearest_to() -> None:
    pair = closest_pair([departure(message("Zzz")), departure(message("I told Mila that the dog ran off", "not spam"))])
    assert pair is not None
    assert pair.shared.startswith("Text: I told Mila")
    assert pair.private == SMS.render(ROWS[1])
    assert pair.distance == pytest.approx(normalized_distance(pair.shared, pair.private))
    assert "Mira" not in repr(pair)
    assert closest_pair([]) is None


def test_controls_are_drawn_from_all_rows_of_the_prompt_and_from_all_public_texts() -> None:
    items = measure([departure(ROWS[0])] * 40, PUBLIC, "", np.random.default_rng(1))
    drawn = {(item.run, item.names > 0, item.numbers > 0) for item in items if item.group == "verbatim"}
    assert drawn == {(8, False, True), (8, True, False), (7, False, False)}
    floors = {closeness(text, departure("x").origin, "teacher-1", "public") for text in PUBLIC}
    assert len(floors) == 2
    assert {item for item in items if item.group == "public"} == floors


def test_an_instruction_is_held_against_the_hand_written_one_where_there_is_one() -> None:
    left = [departure("Look for prizes.")] * 5
    written = closeness(SMS.instruction, left[0].origin, "teacher-1", "public")
    items = measure(left, PUBLIC, SMS.instruction, np.random.default_rng(1))
    assert {item for item in items if item.group == "public"} == {written}
    without = measure(left, PUBLIC[:1], "", np.random.default_rng(1))
    assert {item for item in without if item.group == "public"} == {
        closeness(PUBLIC[0], left[0].origin, "teacher-1", "public")
    }


def test_every_field_and_a_free_answer_are_searched_for_what_the_silo_holds() -> None:
    task = BUILT_IN["gsm8k"].task
    row = Example(fields={"question": "How many boats has Ida?"}, answer="She has 4711 boats. #### 4711")
    origin = Origin(Private(task, [row]), task.render(row))
    item = Example(fields={"question": "How many cats has a town?"}, answer="It has 4711 boats or so. #### 4711")
    found = closeness(item, origin, "teacher-1", "left")
    assert found.numbers
    assert found.run == len(("has", "4711", "boats"))
