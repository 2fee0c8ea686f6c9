"""Export: a finished lesson in the forms other tools read."""

import json
from typing import Literal, get_args

from social_learning.lesson import Lesson
from social_learning.task import ANSWER

Form = Literal["text", "chat-jsonl", "dspy", "dataset"]
FORMS: tuple[Form, ...] = get_args(Form)


def export(lesson: Lesson, form: Form) -> str:
    """Return a lesson as text.

    `text`: the prompt, with `{field}` where a question's fields go. `chat-jsonl`: one JSON line per example,
    `{"messages": [...]}` with the instruction as system message. `dspy`: the JSON state that
    `dspy.Predict(...).load(path)` reads, demonstrations and instruction. `dataset`: one JSON line per example with the
    task's fields and `answer`, which `datasets.load_dataset("json", ...)` reads.
    """
    return {"text": _text, "chat-jsonl": _chat, "dspy": _dspy, "dataset": _dataset}[form](lesson)


def _text(lesson: Lesson) -> str:
    fields = {name: "{" + name + "}" for name in lesson.task.field_names}
    return lesson.prompt(fields) + "\n"


def _chat(lesson: Lesson) -> str:
    system = [{"role": "system", "content": lesson.instruction}] if lesson.instruction else []
    if not lesson.examples:
        return json.dumps({"messages": system}, ensure_ascii=False) + "\n"
    lines = []
    for example in lesson.examples:
        user = {"role": "user", "content": lesson.task.question(example.fields)}
        assistant = {"role": "assistant", "content": example.answer}
        lines.append(json.dumps({"messages": [*system, user, assistant]}, ensure_ascii=False))
    return "\n".join(lines) + "\n"


def _dataset(lesson: Lesson) -> str:
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
        "signature": {"instructions": lesson.instruction or lesson.task.instruction, "fields": fields},
        "lm": None,
        "metadata": {"dependency_versions": {}},
    }
    return json.dumps(state, indent=2, ensure_ascii=False) + "\n"
