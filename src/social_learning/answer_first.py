"""Answer first: an example of a cloze task told backwards, its word in a line above the text that ends in it.

A small model that writes on after passages seldom has a name come up twice, which is what answers of a cloze mostly are. Told the
word first, it writes about that word; docs/results.md says what that is worth.
"""

import re

from social_learning.task import SEPARATOR, Example, Task

OPENING = "Word:"


def render(task: Task, example: Example) -> str:
    """Return an example of a cloze task answer first: its word, its fields line by line, and in the last the word again."""
    last = task.field_names[-1]
    fields = {**example.fields, last: f"{_without_gap(task, example.fields[last])} {example.answer}"}
    return "\n".join(
        [f"{OPENING} {example.answer}", *(f"{_title(task, name)}: {fields[name]}" for name in task.field_names)]
    )


def read(task: Task, text: str) -> tuple[str, dict[str, str]] | None:
    """Read the word and the fields that `text` starts with, as `render` tells them; None where they are not there."""
    parts = [rf"{OPENING} *(\S+)"]
    for name in task.field_names:
        value = rf"(?:(?!{SEPARATOR})[\s\S])+?" if name in task.multiline else r"[^\n]+?"
        parts.append(rf"{re.escape(_title(task, name))}: *({value})")
    match = re.match(" *\n".join(parts) + rf"\s*(?:{SEPARATOR}|\Z)", text)
    if match is None:
        return None
    word, *values = match.groups()
    return word, dict(zip(task.field_names, map(str.strip, values), strict=True))


def _title(task: Task, name: str) -> str:
    return "Text" if name == task.field_names[-1] else name.capitalize().replace("_", " ")


def _without_gap(task: Task, text: str) -> str:
    return text.removesuffix(task.gap).rstrip()
