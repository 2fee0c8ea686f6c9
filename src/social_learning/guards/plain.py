"""Plain text: nothing leaves that a reader cannot see."""

from dataclasses import dataclass

from social_learning.errors import TaskError
from social_learning.guards.origin import Origin
from social_learning.task import ANSWER, Example
from social_learning.text import visible


@dataclass(frozen=True)
class PlainText:
    """Takes control and invisible characters out of a text; drops what broken decoding left (U+FFFD)."""

    name: str = "plain_text"

    def check_text(self, item: str, origin: Origin) -> str | None:  # noqa: ARG002  # what is private does not matter here
        """Mend or drop a text."""
        return None if "\ufffd" in item else visible(item).strip() or None

    def check_example(self, example: Example, origin: Origin) -> Example | None:
        """Mend or drop an example, field by field; what no longer fits the task's format is dropped."""
        row = {
            name: self.check_text(text, origin) for name, text in (*example.fields.items(), (ANSWER, example.answer))
        }
        task = origin.task
        # What nobody changed can still hold a line break where the format has one line.
        if row == {**example.fields, ANSWER: example.answer} and task.parse(task.render(example)) == example:
            return example
        try:
            return task.example(row)
        except TaskError:
            return None
