"""Export: a finished lesson in the forms other tools read."""

import json

import pytest

from social_learning.export import FORMS, export
from social_learning.lesson import Lesson
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


def test_text_is_the_prompt_with_a_place_for_the_question() -> None:
    assert export(WHOLE, "text") == (
        'Decide, ü.\n\nText: win "cash" é\nClass: spam\n\nText: two\u2028lines {text}\nClass: not spam\n\n'
        "Text: {text}\nClass:\n"
    )
    assert export(EMPTY, "text") == "Text: {text}\nClass:\n"
    assert export(Lesson(task=BOOLQ.task), "text") == "{passage}\nQuestion: {question}\nAnswer:\n"


def test_chat_is_a_conversation_for_each_example() -> None:
    system = {"role": "system", "content": "Decide, ü."}
    assert lines_of(export(WHOLE, "chat-jsonl")) == [
        {
            "messages": [
                system,
                {"role": "user", "content": SMS.question(shot.fields)},
                {"role": "assistant", "content": shot.answer},
            ]
        }
        for shot in SHOTS
    ]
    first = lines_of(export(Lesson(task=SMS, examples=SHOTS), "chat-jsonl"))[0]
    assert first == {
        "messages": [
            {"role": "user", "content": 'Text: win "cash" é\nClass:'},
            {"role": "assistant", "content": "spam"},
        ]
    }
    assert lines_of(export(TAUGHT_BY_INSTRUCTION, "chat-jsonl")) == [{"messages": [system]}]
    assert lines_of(export(EMPTY, "chat-jsonl")) == [{"messages": []}]


def test_a_dataset_has_a_row_for_each_example() -> None:
    assert lines_of(export(WHOLE, "dataset")) == [
        {"text": 'win "cash" é', "answer": "spam"},
        {"text": "two\u2028lines {text}", "answer": "not spam"},
    ]
    assert export(TAUGHT_BY_INSTRUCTION, "dataset") == ""


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


def test_dspy_has_the_tasks_own_instruction_where_none_was_taught() -> None:
    state = json.loads(export(EMPTY, "dspy"))
    assert state["signature"]["instructions"] == SMS.instruction
    assert state["demos"] == []


def test_dspy_names_fields_as_dspy_does() -> None:
    task = SMS.variant(template="{message_text}\nClass: {answer}")
    state = json.loads(export(Lesson(task=task), "dspy"))
    assert state["signature"]["fields"][0] == {"prefix": "Message Text:", "description": "${message_text}"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lesson", [WHOLE, TAUGHT_BY_INSTRUCTION, EMPTY], ids=["whole", "instruction", "empty"])
def test_every_form_keeps_letters_as_they_are(lesson: Lesson, form: str) -> None:
    chosen = next(known for known in FORMS if known == form)
    text = export(lesson, chosen)
    assert "\\u00" not in text
    assert ("é" in text) == bool(lesson.examples)
