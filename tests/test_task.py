"""Tasks: an example as text and back, the answer parser, the metric."""

import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from social_learning.errors import TaskError
from social_learning.task import SEPARATOR, Example, Task
from social_learning.tasks import BUILT_IN

SMS = BUILT_IN["sms_spam"].task
GSM8K = BUILT_IN["gsm8k"].task
LAMBADA = BUILT_IN["lambada"].task

CUSTOM = {
    "arrow": Task(name="arrow", template="{q} => {answer}"),
    "braces": Task(name="braces", template="Set {{a}}: {a}; then {{{b}}}\n\nAnswer: {answer}", multiline=("answer",)),
    "letter": Task(
        name="letter",
        template="Letter:\n{letter}\nMood: {answer}",
        labels=("glad", "not glad", "sad"),
        metric="labels",
        multiline=("letter",),
    ),
    "two lines": Task(
        name="two_lines",
        template="Titel: {título}\nText: {text}\nKlasse: {answer}",
        labels=("Größe", "Maß"),
        metric="labels",
    ),
    "sum": Task(name="sum", template="{left} plus {right} is {answer}", metric="number"),
}
TASKS = {**{name: known.task for name, known in BUILT_IN.items()}, **CUSTOM}
LABEL_FIRST = {name: task for name, task in TASKS.items() if task.can_label_first}

few = settings(max_examples=30)
every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())

# Words without any of the characters that the templates above are made of.
word = st.text(
    st.characters(categories=("L", "N", "S", "Po"), exclude_characters="=:;>_#{}+^$`~|<"), min_size=1, max_size=8
)
letters = st.text(st.characters(categories=("L", "M")), min_size=1, max_size=8)
line = st.lists(word, min_size=1, max_size=6).map(" ".join)
blank = st.sampled_from(
    ["\n", "\n\n", "\r\n", " ", "\t", "\u2028", "\ufeff", "\\n", "%s", "{", "}", "{{", "{answer}", "{text}"]
)
piece = st.sampled_from(
    ["Text:", "Text: a", "Class:", "Class: spam", "not spam", "Question: ", "Answer:", "Fill in blank:"]
)
mark = st.sampled_from(["____ ->", "#### 4", " = ", "=> ", "Letter:\n", "\nMood: sad", " plus ", "; then {"])
messy = st.lists(blank | piece | mark | st.text(max_size=8), max_size=8).map("".join)


def make_task(**changes: object) -> Task:
    return SMS.variant(**{"name": "mail", **changes})


def answers_of(task: Task) -> st.SearchStrategy[str]:
    """Answers in the form that a task asks for."""
    if task.labels:
        return st.sampled_from(task.labels)
    if task.answer_marker:
        return st.tuples(st.lists(line, min_size=1, max_size=3), st.integers()).map(
            lambda parts: "\n".join([*parts[0], f"#### {parts[1]}"])
        )
    if task.metric == "number":
        words = st.lists(letters, min_size=1, max_size=6).map(" ".join)
        return st.tuples(words, st.integers()).map(lambda parts: f"{parts[0]} {parts[1]}")
    return word if task.answer_pattern else line


def plain_rows(task: Task) -> st.SearchStrategy[dict[str, str]]:
    """Rows of ordinary words: those that every format has room for."""
    several = st.lists(line, min_size=1, max_size=3).map("\n".join)
    fields = {name: several if name in task.multiline else line for name in task.field_names}
    return st.fixed_dictionaries({**fields, "answer": answers_of(task)})


def messy_rows(task: Task) -> st.SearchStrategy[dict[str, str]]:
    """Rows that may hold anything, the template's own text above all."""
    return st.fixed_dictionaries(dict.fromkeys(task.field_names, messy) | {"answer": answers_of(task) | messy})


# Example to text and back


@every_task
@few
@given(data=st.data())
def test_ordinary_text_becomes_an_example_and_comes_back_as_it_was(task: Task, data: st.DataObject) -> None:
    row = data.draw(plain_rows(task))
    example = task.example(row)
    assert {**example.fields, "answer": example.answer} == row
    assert task.parse(task.render(example)) == example
    assert task.question(example.fields) + task.continuation(example.answer) == task.render(example)


@every_task
@few
@given(data=st.data())
def test_any_row_is_refused_or_comes_back_as_it_was(task: Task, data: st.DataObject) -> None:
    row = data.draw(messy_rows(task))
    try:
        example = task.example(row)
    except TaskError:
        return
    assert task.parse(task.render(example)) == example
    assert task.example({**example.fields, "answer": example.answer}) == example


@every_task
@few
@given(data=st.data())
def test_an_example_is_read_up_to_where_it_ends(task: Task, data: st.DataObject) -> None:
    first, second = (task.example(data.draw(plain_rows(task))) for _ in range(2))
    text = task.render(first)
    assert task.parse(text + SEPARATOR + task.render(second)) == first
    assert task.parse("\n\n" + text) == first


@every_task
@pytest.mark.parametrize("blanks", [" ", "\n", " \n", "\n\n"])
def test_blanks_after_an_example_do_not_count(task: Task, blanks: str) -> None:
    row = dict.fromkeys(task.field_names, "one two")
    answer = task.labels[0] if task.labels else "Two steps.\n#### 7" if task.answer_marker else "7"
    example = task.example({**row, "answer": answer})
    assert task.parse(task.render(example) + blanks) == example


@every_task
@few
@given(text=messy)
def test_reading_never_fails_and_what_was_read_can_be_read_again(task: Task, text: str) -> None:
    for tried in (text, task.opening + text, task.question(dict.fromkeys(task.field_names, "a")) + text):
        example = task.parse(tried)
        assert example is None or task.parse(task.render(example)) == example
        task.parse_answer(tried)


def test_text_that_looks_like_the_template_is_kept_apart_from_it() -> None:
    row = {"text": "{answer} {text} {{x}} %s \\n Class: spam", "answer": "not spam"}
    assert SMS.render(SMS.example(row)) == "Text: {answer} {text} {{x}} %s \\n Class: spam\nClass: not spam"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("  hello  ", "hello"),
        ("one\ntwo", "one two"),
        ("one\r\n\r\ntwo", "one two"),
        ("one\u2028two\x0bthree\x85four", "one two three four"),
        ("one  two", "one  two"),
        (12, "12"),
    ],
)
def test_fields_of_one_line_are_one_line(value: object, kept: str) -> None:
    assert SMS.example({"text": value, "answer": "spam"}).fields == {"text": kept}


def test_fields_of_several_lines_keep_their_lines_but_no_blank_ones() -> None:
    letter = CUSTOM["letter"]
    row = {"letter": "Dear Ann,\r\n\r\n \nall is well.\n\n\nBo\n", "answer": "glad"}
    assert letter.example(row).fields == {"letter": "Dear Ann,\nall is well.\nBo"}


def test_a_field_never_swallows_the_next_example() -> None:
    two = "Letter:\nhello\nMood unclear\nLetter:\nbye\nMood: sad"
    assert CUSTOM["letter"].parse(two) is None


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"answer": "spam"}, "field 'text': missing"),
        ({"text": None, "answer": "spam"}, "field 'text': missing"),
        ({"text": " \n ", "answer": "spam"}, "field 'text': empty"),
        ({"text": "hi"}, "field 'answer': missing"),
        ({"text": "hi", "answer": ""}, "field 'answer': empty"),
        ({"text": "hi", "answer": "ham"}, "field 'answer': not a known label; known labels: spam, not spam"),
    ],
)
def test_a_row_that_is_no_example_is_refused_by_field(row: dict[str, object], problem: str) -> None:
    with pytest.raises(TaskError) as caught:
        SMS.example(row)
    assert str(caught.value) == problem


def test_a_refusal_says_nothing_of_what_the_row_holds() -> None:
    task = CUSTOM["letter"]
    for row in ({"letter": "my secret\nLetter:\nmine", "answer": "sad"}, {"letter": "my secret", "answer": "secret"}):
        with pytest.raises(TaskError) as caught:
            task.example(row)
        assert "secret" not in str(caught.value)
    with pytest.raises(TaskError, match="the answer has another form"):
        LAMBADA.example({"passage": "my secret", "answer": "two words"})


def test_labels_take_their_listed_spelling() -> None:
    assert SMS.example({"text": "hi", "answer": " NOT Spam "}).answer == "not spam"
    assert CUSTOM["two lines"].example({"título": "a", "text": "b", "answer": "GRÖSSE"}).answer == "Größe"


def test_reprs_never_show_text() -> None:
    example = Example(fields={"text": "my secret"}, answer="secret too")
    for shown in (repr(example), str(example), f"{example}", repr([example]), repr({"a": example})):
        assert "secret" not in shown
    assert repr(example) == "Example(text: 9 characters; answer: 10 characters)"
    with pytest.raises(ValueError, match="answer") as caught:
        Example.model_validate({"fields": {"text": "my secret"}, "answer": ["secret"]})
    assert "secret" not in str(caught.value)


# Label first


@pytest.mark.parametrize("task", LABEL_FIRST.values(), ids=LABEL_FIRST.keys())
@few
@given(data=st.data())
def test_label_first_is_read_back(task: Task, data: st.DataObject) -> None:
    example = task.example(data.draw(plain_rows(task)))
    text = task.render_label_first(example)
    asked = task.ask_for_label(example.answer) + "\n" + task.opening
    assert text.startswith(asked)
    written = task.opening + text.removeprefix(asked)
    assert task.parse_label_first(written, example.answer) == example
    assert task.parse_label_first(written + SEPARATOR + text, example.answer) == example


@pytest.mark.parametrize("task", LABEL_FIRST.values(), ids=LABEL_FIRST.keys())
@few
@given(text=messy)
def test_reading_label_first_never_fails(task: Task, text: str) -> None:
    for tried in (text, task.opening + text):
        example = task.parse_label_first(tried, task.labels[0])
        assert example is None or example.answer == task.labels[0]


def test_label_first_shows_the_answer_line_above_the_question() -> None:
    boolq = BUILT_IN["boolq"]
    passage, question = boolq.invented.fields["passage"], boolq.invented.fields["question"]
    assert boolq.task.render_label_first(boolq.invented) == f"Answer: no\n{passage}\nQuestion: {question}"


def test_label_first_needs_labels_and_a_line_for_the_answer() -> None:
    assert set(LABEL_FIRST) == {"phone_messages", "sms_spam", "sms_spam_classes", "boolq", "letter", "two lines"}
    assert not make_task(template="{text} is {answer}").can_label_first
    assert not make_task(template="Text\nof {text}: {answer}").can_label_first


@pytest.mark.parametrize(
    "template", ["Text: {text} (end)\nClass: {answer}", "Text: {text} {{end}} now\nClass: {answer}"]
)
def test_label_first_is_read_back_where_text_follows_the_question(template: str) -> None:
    task = make_task(template=template)
    example = task.example({"text": "come over", "answer": "spam"})
    _, _, question = task.render_label_first(example).partition("\n")
    assert task.parse_label_first(question, "spam") == example


# Answers


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("spam", "spam"),
        ("Spam.", "spam"),
        (" not spam\n", "not spam"),
        ("NOT SPAM, clearly", "not spam"),
        ("spam\n\nText: next", "spam"),
        ("spammy", None),
        ("notspam", None),
        ("ham", None),
        ("it is spam", None),
        ("", None),
        ("  \n", None),
    ],
)
def test_labels_are_read_at_the_start(text: str, answer: str | None) -> None:
    assert SMS.parse_answer(text) == answer


@pytest.mark.parametrize("labels", [("C", "C++"), ("+", "-"), ("good!", "good?"), ("हाँ", "नहीं"), ("yes", "yes and no")])
def test_any_label_is_right_for_itself_and_for_no_other(labels: tuple[str, str]) -> None:
    task = make_task(labels=labels)
    for right in labels:
        example = task.example({"text": "a", "answer": right})
        assert task.parse(task.render(example)) == example
        assert task.parse_answer(f" {right}\n") == right
        assert [task.correct(answer, example) for answer in labels] == [answer == right for answer in labels]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("3 + 4 = 7\n#### 7", "7"),
        ("#### 1,234,567", "1234567"),
        ("#### $1,200.50", "1200.50"),
        ("#### -3", "-3"),
        ("#### -$5", "-5"),
        ("#### 0.25 cups", "0.25"),
        ("#### 18.", "18"),
        ("####7", "7"),
        ("the answer is 7", None),
        ("#### none", None),
        ("", None),
    ],
)
def test_numbers_are_read_after_the_marker(text: str, answer: str | None) -> None:
    assert GSM8K.parse_answer(text) == answer


@given(number=st.integers(-(10**9), 10**9), cents=st.integers(0, 99))
def test_a_number_is_right_in_every_spelling_and_for_no_other(number: int, cents: int) -> None:
    example = Example(fields={"question": "How many?"}, answer=f"Count.\n#### {number}")
    for spelled in (f"{number}", f"{number:,}", f"{number}.0", f"  {number:,}.00 dollars", f"${number:,}"):
        answer = GSM8K.parse_answer(f"Steps of 3.\n#### {spelled}")
        assert answer is not None
        assert Decimal(answer) == number
        assert GSM8K.correct(answer, example)
    other = GSM8K.parse_answer(f"#### {number}.{cents:02}")
    assert other is not None
    assert GSM8K.correct(other, example) == (cents == 0)
    assert not GSM8K.correct(str(number + 1), example)


def test_a_number_without_a_marker_is_the_first_one() -> None:
    task = CUSTOM["sum"]
    assert task.parse_answer("about 1,200 or 3") == "1200"
    assert task.correct("4.0", task.example({"left": 2, "right": 2, "answer": 4}))
    assert not task.correct("no number", task.example({"left": 2, "right": 2, "answer": 4}))


def test_other_answers_are_one_line_or_what_their_pattern_says() -> None:
    arrow = CUSTOM["arrow"]
    assert arrow.parse_answer(" two words \nand more") == "two words"
    assert arrow.parse_answer("\n \n") is None
    assert LAMBADA.parse_answer(" lantern . and so") == "lantern"
    example = arrow.example({"q": "a", "answer": "Two words"})
    assert arrow.correct("Two words", example)
    assert not arrow.correct("two words", example)


def test_what_ends_an_answer() -> None:
    assert SMS.stop == ("\n",)
    assert GSM8K.stop == ("\n\n",)


# Definitions


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"template": "Text: {text}\nClass:"}, "template must end in '{answer}'"),
        ({"template": "{answer}"}, "template names no field before '{answer}'"),
        ({"template": "{text} or {text}: {answer}"}, "template uses a field twice"),
        ({"template": "{answer}: {text} {answer}"}, "template uses a field twice"),
        ({"template": "{text}{answer}"}, "needs some text between two fields"),
        ({"template": "{title}{text}: {answer}"}, "needs some text between two fields"),
        ({"template": "{text: {answer}"}, "not a valid format string"),
        ({"template": "{text}}: {answer}"}, "not a valid format string"),
        ({"template": "{0}: {answer}"}, "template field {0} must be a plain name"),
        ({"template": "{}: {answer}"}, "template field {} must be a plain name"),
        ({"template": "{text!r}: {answer}"}, "must be a plain name"),
        ({"template": "{text:>9}: {answer}"}, "must be a plain name"),
        ({"template": "{text.upper}: {answer}"}, "must be a plain name"),
        ({"labels": ()}, "metric 'labels' needs a list of labels"),
        ({"metric": "exact"}, "only that metric has one"),
        ({"labels": ("spam",)}, "labels must be two or more"),
        ({"labels": ("spam", "SPAM")}, "differ by more than case"),
        ({"multiline": ("text", "body", "about")}, "multiline names unknown fields: about, body"),
    ],
)
def test_a_task_that_does_not_fit_together_is_refused(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(TaskError, match=re.escape(problem)) as caught:
        make_task(**changes)
    assert str(caught.value).startswith("task 'mail': ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("labels", [("", "spam"), ("spam ", "not spam"), ("spam", "not\nspam")])
def test_labels_that_no_answer_can_equal_are_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(TaskError, match="labels"):
        make_task(labels=labels)


@pytest.mark.parametrize("pattern", ["(", "[a-", "(?P<text>a)"])
def test_an_answer_pattern_that_is_no_regular_expression_is_refused(pattern: str) -> None:
    with pytest.raises(TaskError, match="answer_pattern"):
        make_task(labels=(), metric="exact", answer_pattern=pattern)


def test_unknown_settings_and_numbers_out_of_range_are_refused() -> None:
    for changes in ({"lables": ("a", "b")}, {"max_answer_tokens": 0}, {"max_example_tokens": 5000}, {"metric": "f1"}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            make_task(**changes)


def test_a_variant_is_checked_and_reads_its_own_format() -> None:
    assert SMS.parse("Text: hi\nClass: spam") is not None
    variant = SMS.variant(name="other", template="SMS: {text}\nSpam? {answer}", labels=("yes", "no"))
    assert (variant.name, variant.opening, variant.instruction) == ("other", "SMS:", SMS.instruction)
    assert variant.parse("SMS: hi\nSpam? yes") == Example(fields={"text": "hi"}, answer="yes")
    assert variant.parse("Text: hi\nClass: spam") is None
    assert SMS.template == "Text: {text}\nClass: {answer}"
    with pytest.raises(TaskError, match="two or more"):
        SMS.variant(labels=("spam",))


def test_field_names_stand_in_the_templates_order() -> None:
    assert CUSTOM["two lines"].field_names == ("título", "text")
    assert BUILT_IN["boolq"].task.opening == ""
    assert LAMBADA.opening == "Fill in blank:\n\n"


def test_tasks_survive_json() -> None:
    for task in TASKS.values():
        assert Task.model_validate_json(task.model_dump_json()) == task
