"""Export: a finished lesson in the forms other tools read."""

import json
from typing import Literal, get_args

from social_learning.errors import DataError
from social_learning.lesson import Lesson
from social_learning.task import ANSWER

Form = Literal["text", "chat-jsonl", "dspy", "dataset"]
FORMS: tuple[Form, ...] = get_args(Form)


def export(lesson: Lesson, form: Form) -> str:
    """Return a lesson as text: what was learned, and nothing that the student did not read.

    `text`: the student's prompt, byte for byte, with `{field}` where a question's fields go. `chat-jsonl`: one JSON line
    `{"messages": [...]}`, a conversation to go on with: the instruction as system message, a user's and an assistant's turn for
    each example, and a user's turn with `{field}` where a question's fields go. `dspy`: the JSON state that
    `dspy.Predict(...).load(path)` reads, demonstrations and instruction. `dataset`: one JSON line per example with the
    task's fields and `answer`, which `datasets.load_dataset("json", ...)` reads; an instruction is not in it.

    Raises DataError where there is nothing to write: for an empty lesson, and for `dataset` where it has no examples.
    """
    if not lesson.text:
        raise DataError(
            "the lesson is empty, so there is nothing to export: nobody taught its student (a zero-shot arm)"
        )
    return {"text": _text, "chat-jsonl": _chat, "dspy": _dspy, "dataset": _dataset}[form](lesson)


def _places(lesson: Lesson) -> dict[str, str]:
    """What stands where a question's fields go."""
    return {name: "{" + name + "}" for name in lesson.task.field_names}


def _text(lesson: Lesson) -> str:
    return lesson.prompt(_places(lesson))


def _chat(lesson: Lesson) -> str:
    question = lesson.task.question
    system = [{"role": "system", "content": lesson.instruction.strip()}] if lesson.instruction.strip() else []
    turns = [
        turn
        for example in lesson.examples
        for turn in (
            {"role": "user", "content": question(example.fields)},
            {"role": "assistant", "content": example.answer},
        )
    ]
    asked = {"role": "user", "content": question(_places(lesson))}
    return json.dumps({"messages": [*system, *turns, asked]}, ensure_ascii=False) + "\n"


def _dataset(lesson: Lesson) -> str:
    if not lesson.examples:
        raise DataError(
            "the lesson is an instruction without examples, and a dataset holds examples only: use text, chat-jsonl or dspy"
        )
    return "".join(
        json.dumps({**example.fields, ANSWER: example.answer}, ensure_ascii=False) + "\n" for example in lesson.examples
    )


def _dspy(lesson: Lesson) -> str:
    """The state of a `dspy.Predict` over the signature `field, ... -> answer`."""
    names = [*lesson.task.field_names, ANSWER]
    fields = [{"prefix": f"{name.replace('_', ' ').title()}:", "description": f"${{{name}}}"} for name in names]
    state: dict[str, object] = {
        "traces": [],
        "train": [],
        "demos": [{**example.fields, ANSWER: example.answer} for example in lesson.examples],
        "signature": {"instructions": lesson.instruction.strip(), "fields": fields},
        "lm": None,
        "metadata": {"dependency_versions": {}},
    }
    return json.dumps(state, indent=2, ensure_ascii=False) + "\n"
