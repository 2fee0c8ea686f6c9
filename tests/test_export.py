"""Export: a finished lesson in the forms other tools read."""

import json
from collections.abc import Sequence

import pytest

from social_learning.errors import DataError
from social_learning.export import FORMS, Form, export
from social_learning.lesson import Lesson
from social_learning.models.base import Completion, Prompt, Sampling
from social_learning.models.fakes import FakeModel
from social_learning.student import Student
from social_learning.task import Example
from social_learning.tasks import BUILT_IN

SMS = BUILT_IN["sms_spam"].task
BOOLQ = BUILT_IN["boolq"]
SHOTS = (
    Example(fields={"text": 'win "cash" é'}, answer="spam"),
    Example(fields={"text": "two\u2028lines {text}"}, answer="not spam"),
)
WHOLE = Lesson(task=SMS, instruction="Decide, ü.", examples=SHOTS)
TAUGHT_BY_INSTRUCTION = Lesson(task=SMS, instruction="Decide, ü.")
EMPTY = Lesson(task=SMS)


def lines_of(text: str) -> list[object]:
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.split("\n")[:-1]]


class Recorder(FakeModel):
    """Says nothing of note; keeps what it read."""

    def __init__(self) -> None:
        super().__init__("recorder")
        self.read: list[Prompt] = []

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, samples: int = 1) -> list[list[Completion]]:
        self.read += prompts
        return [[Completion("spam", (-1.0,), "stop")] for _ in prompts]


def filled(text: str, fields: dict[str, str]) -> str:
    """An exported prompt with a question in it: places are filled from the end, so that no example's own braces are."""
    for name in reversed(fields):
        before, place, after = text.rpartition("{" + name + "}")
        assert place
        text = before + fields[name] + after
    return text


@pytest.mark.parametrize(
    ("lesson", "question"),
    [
        (WHOLE, {"text": "call é \u00a0 now"}),
        (TAUGHT_BY_INSTRUCTION, {"text": "call now"}),
        (Lesson(task=SMS, examples=SHOTS), {"text": "call now"}),
        (Lesson(task=BOOLQ.task, instruction=" Decide.\n"), {"passage": "a\nb", "question": "is it"}),
    ],
)
def test_text_is_byte_for_byte_what_the_student_read_before_a_question(
    lesson: Lesson, question: dict[str, str]
) -> None:
    model, text = Recorder(), export(lesson, "text")
    Student(model, lesson, answer_by="free").answer(question)
    (read,) = model.read
    assert filled(text, question).encode() == str(read).encode()
    assert text.encode().startswith(lesson.text.encode())


def test_text_has_a_place_for_the_question() -> None:
    assert export(WHOLE, "text") == (
        'Decide, ü.\n\nText: win "cash" é\nClass: spam\n\nText: two\u2028lines {text}\nClass: not spam\n\n'
        "Text: {text}\nClass:"
    )
    assert export(Lesson(task=BOOLQ.task, instruction="Decide."), "text") == (
        "Decide.\n\n{passage}\nQuestion: {question}\nAnswer:"
    )


def test_chat_is_one_conversation_that_ends_in_a_place_for_the_question() -> None:
    system, asked = {"role": "system", "content": "Decide, ü."}, {"role": "user", "content": "Text: {text}\nClass:"}
    shots = [
        {"role": "user", "content": 'Text: win "cash" é\nClass:'},
        {"role": "assistant", "content": "spam"},
        {"role": "user", "content": "Text: two\u2028lines {text}\nClass:"},
        {"role": "assistant", "content": "not spam"},
    ]
    assert lines_of(export(WHOLE, "chat-jsonl")) == [{"messages": [system, *shots, asked]}]
    assert lines_of(export(Lesson(task=SMS, examples=SHOTS), "chat-jsonl")) == [{"messages": [*shots, asked]}]
    assert lines_of(export(TAUGHT_BY_INSTRUCTION, "chat-jsonl")) == [{"messages": [system, asked]}]


def test_a_dataset_has_a_row_for_each_example() -> None:
    assert lines_of(export(WHOLE, "dataset")) == [
        {"text": 'win "cash" é', "answer": "spam"},
        {"text": "two\u2028lines {text}", "answer": "not spam"},
    ]


def test_a_dataset_without_a_row_is_refused() -> None:
    with pytest.raises(DataError, match="an instruction without examples, and a dataset holds examples only"):
        export(TAUGHT_BY_INSTRUCTION, "dataset")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lesson", [EMPTY, Lesson(task=SMS, instruction=" \n")])
def test_an_empty_lesson_is_refused(lesson: Lesson, form: Form) -> None:
    with pytest.raises(DataError, match="the lesson is empty, so there is nothing to export"):
        export(lesson, form)


def test_dspy_reads_demonstrations_and_instruction() -> None:
    state = json.loads(export(Lesson(task=BOOLQ.task, examples=(BOOLQ.invented,), instruction="Decide."), "dspy"))
    assert list(state) == ["traces", "train", "demos", "signature", "lm", "metadata"]
    assert (state["traces"], state["train"], state["lm"]) == ([], [], None)
    assert state["metadata"] == {"dependency_versions": {}}
    assert state["demos"] == [{**BOOLQ.invented.fields, "answer": "no"}]
    assert state["signature"] == {
        "instructions": "Decide.",
        "fields": [
            {"prefix": "Passage:", "description": "${passage}"},
            {"prefix": "Question:", "description": "${question}"},
            {"prefix": "Answer:", "description": "${answer}"},
        ],
    }


def test_dspy_has_no_instruction_where_none_was_taught() -> None:
    assert SMS.instruction
    state = json.loads(export(Lesson(task=SMS, examples=SHOTS), "dspy"))
    assert state["signature"]["instructions"] == ""
    assert [demo["answer"] for demo in state["demos"]] == ["spam", "not spam"]


def test_dspy_names_fields_as_dspy_does() -> None:
    task = SMS.variant(template="{message_text}\nClass: {answer}")
    state = json.loads(export(Lesson(task=task, instruction="Decide."), "dspy"))
    assert state["signature"]["fields"][0] == {"prefix": "Message Text:", "description": "${message_text}"}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_keeps_letters_as_they_are(form: Form) -> None:
    text = export(WHOLE, form)
    assert "\\u00" not in text
    assert "é" in text
