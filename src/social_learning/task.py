"""Tasks: a problem family, and how one of its examples becomes text and is read back from text.

A *Task* is a problem family (SMS spam), not a row. An *Example* is one row: the fields of the question, and the answer.
"""

import re
import string
from collections.abc import Mapping
from functools import cached_property
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from social_learning.errors import TaskError
from social_learning.labels import begin_alike, composed, folded, label_at_start, label_pattern
from social_learning.numerals import DecimalMark, read_number, same_number

Metric = Literal["labels", "exact", "number"]

SEPARATOR = "\n\n"
"""What stands between two examples in a prompt."""

ANSWER = "answer"


class Example(BaseModel):
    """One row of a task: the question's fields by name, and the answer as text.

    Its repr tells lengths, never text: examples are private until a teacher's guards let them out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    fields: dict[str, str]
    answer: str

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}: {len(text)} characters" for name, text in self.fields.items())
        return f"Example({sizes}; answer: {len(self.answer)} characters)"

    __str__ = __repr__


class Task(BaseModel):
    """A problem family: its text format, its labels, its metric and a hand-written instruction.

    `template` is one example as text. It names the question's fields in braces and ends in `{answer}`, as in
    `"Text: {text}\\nClass: {answer}"`. Literal braces are doubled.

    `metric` says when an answer is right: `labels` (one of `labels`, ignoring case), `exact` (same text, ignoring
    blanks at the ends), `number` (the number after `answer_marker`, or the first number where there is no marker; see
    `read_number`, which `decimal` is for). Accents count as the same whether composed or not.

    `multiline` names fields that may hold line breaks (single ones: a blank line ends an example). All other fields are
    one line. `answer_pattern` is a regular expression for what an answer looks like in a generated example; the
    default is one of the labels, or one line of text.

    `cloze`: the answer is the word that comes next in the text of the last field. `gap` is what stands for it at the end of that
    field; empty where the template has it.

    Raises TaskError where the template, the labels and the metric do not fit together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    template: str
    instruction: str = ""
    labels: tuple[str, ...] = ()
    cloze: bool = False
    gap: str = ""
    metric: Metric = "exact"
    answer_marker: str = ""
    decimal: DecimalMark = "point"
    answer_pattern: str = ""
    multiline: tuple[str, ...] = ()
    max_answer_tokens: int = Field(default=12, ge=1, le=4096)
    max_example_tokens: int = Field(default=96, ge=8, le=4096)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        where = f"task {self.name!r}:"
        if not self.template.endswith("{answer}"):
            raise TaskError(f"{where} template must end in '{{answer}}'")
        if self.template != self.template.lstrip():
            raise TaskError(f"{where} template must not start with blanks or line breaks")
        pieces = self._pieces
        names = [name for _, name in pieces]
        if len(names) < 2:
            raise TaskError(f"{where} template names no field before '{{answer}}'")
        if len(set(names)) != len(names):
            raise TaskError(f"{where} template uses a field twice")
        if any(not literal for literal, _ in pieces[1:]):
            raise TaskError(f"{where} template needs some text between two fields, or they cannot be told apart")
        self._check_labels(where)
        unknown = set(self.multiline) - set(names)
        if unknown:
            raise TaskError(f"{where} multiline names unknown fields: {', '.join(sorted(unknown))}")
        try:
            re.compile(self._pattern(pieces))
        except re.error as error:
            raise TaskError(f"{where} answer_pattern is no regular expression that fits here: {error}") from None
        return self

    def _check_labels(self, where: str) -> None:
        if (self.metric == "labels") != bool(self.labels):
            raise TaskError(f"{where} metric 'labels' needs a list of labels, and only that metric has one")
        if len(self._labels_folded) != len(self.labels) or len(self.labels) == 1:
            raise TaskError(f"{where} labels must be two or more, and differ by more than case and the form of accents")
        if self.cloze and self.metric != "exact":
            raise TaskError(f"{where} only a task with metric 'exact' can be a cloze: its answer is a word of the text")
        if self.gap and not self.cloze:
            raise TaskError(f"{where} only a cloze has a gap")
        if self.decimal != "point" and self.metric != "number":
            raise TaskError(f"{where} only a task with metric 'number' has a decimal mark to set")
        if any(not label.strip() or label != label.strip() or "\n" in label for label in self.labels):
            raise TaskError(f"{where} labels must be one line each, with no blanks at the ends")

    def variant(self, **changes: object) -> Self:
        """Return a task that differs in the given settings, checked anew (pydantic's model_copy would keep stale
        patterns).
        """
        return type(self).model_validate({**self.model_dump(), **changes})

    @cached_property
    def _pieces(self) -> list[tuple[str, str]]:
        """(literal, field that follows it), in order; the last field is the answer."""
        try:
            parsed = list(string.Formatter().parse(self.template))
        except ValueError as error:
            raise TaskError(f"task {self.name!r}: template is not a valid format string: {error}") from None
        pieces, literal = [], ""
        for text, name, spec, conversion in parsed:
            literal += text
            if name is None:
                continue
            if spec or conversion or not name.isidentifier():
                raise TaskError(f"task {self.name!r}: template field {{{name}}} must be a plain name")
            pieces.append((literal, name))
            literal = ""
        return pieces

    @cached_property
    def field_names(self) -> tuple[str, ...]:
        """Names of the question's fields, in the template's order."""
        return tuple(name for _, name in self._pieces[:-1])

    @cached_property
    def _question_template(self) -> str:
        return self.template[: -len("{answer}")]

    @property
    def opening(self) -> str:
        """The literal text every example starts with; empty where the template starts with a field."""
        return self._pieces[0][0].rstrip(" ")

    # Example to text

    def example(self, row: Mapping[str, object]) -> Example:
        """Make an example of a row that has this task's field names and `answer` as keys.

        Blanks at the ends go, line breaks in one-line fields become blanks, labels take their listed spelling. Raises
        TaskError, naming the field, when a value is missing, empty, an unknown label, or cannot be read back.
        """
        values = {name: self._value(row, name) for name in (*self.field_names, ANSWER)}
        if self.labels:
            label = self._label(values[ANSWER])
            if label is None:
                raise TaskError(f"field 'answer': not a known label; known labels: {', '.join(self.labels)}")
            values[ANSWER] = label
        answer = values.pop(ANSWER)
        if self.parse_answer(answer) is None:
            raise TaskError(f"field 'answer': {self._unreadable}")
        example = Example(fields=values, answer=answer)
        if self.parse(self.render(example)) != example:
            raise TaskError(
                f"fields {', '.join(map(repr, (*self.field_names, ANSWER)))}: a value does not fit the format of task "
                f"{self.name!r} (it holds the template's own text, or the answer has another form)"
            )
        return example

    @property
    def _unreadable(self) -> str:
        """Why a row's answer is refused, and what to do."""
        after = f" after {self.answer_marker!r}" if self.answer_marker else ""
        if self.metric != "number":
            return f"holds no {self.metric} answer{after}"
        mark, other = (".", "comma") if self.decimal == "point" else (",", "point")
        return (
            f"holds no number{after} that can be read in one way only: write it like 1234{mark}5, -5, 1e5 or 3/4, or set the "
            f"task's decimal to '{other}'"
        )

    def question_fields(self, row: Mapping[str, object]) -> dict[str, str]:
        """Return the fields of a question that has this task's field names as keys, each as `example` takes it. Raises TaskError,
        naming the field, when one is missing or empty.
        """
        return {name: self._value(row, name) for name in self.field_names}

    def _value(self, row: Mapping[str, object], name: str) -> str:
        if name not in row or row[name] is None:
            raise TaskError(f"field {name!r}: missing")
        text = str(row[name]).strip()
        if not text:
            raise TaskError(f"field {name!r}: empty")
        if name in self.multiline:
            return re.sub(r"\n[^\S\n]*(?:\n[^\S\n]*)+", "\n", text.replace("\r\n", "\n"))
        return re.sub(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+", " ", text)

    def render(self, example: Example) -> str:
        """Return the example as text, question and answer."""
        return self._question_template.format(**example.fields) + example.answer

    def question(self, fields: Mapping[str, str]) -> str:
        """Return the question as text, without the answer and the blanks before it."""
        return self._question_template.format(**fields).rstrip(" ")

    def continuation(self, answer: str) -> str:
        """Return `answer` as the continuation of a question: with the blanks that the template puts before it."""
        lead = self._question_template[len(self._question_template.rstrip(" ")) :]
        return lead + answer

    @cached_property
    def label_end(self) -> str:
        """What ends a label where it is scored: what separates examples, if one label is the beginning of another one, else nothing.

        All that starts with "yes, partly" starts with "yes" too, which would be the likelier one, whatever was asked.
        """
        return SEPARATOR if begin_alike(self.labels) else ""

    def scored_label(self, label: str) -> str:
        """Return a label as the continuation of a question by whose likelihood it is compared with the others."""
        return self.continuation(label) + self.label_end

    # Label first: the same example told backwards, so that a model can be asked for an example of one class.

    @cached_property
    def _answer_line(self) -> tuple[str, str]:
        """The question template split before its last line: (the question's part, the answer's opening)."""
        head, _, tail = self._question_template.rpartition("\n")
        return head.rstrip("\n"), tail

    @property
    def label_first_question(self) -> str:
        """The template of the question alone, as it stands below the answer line in a label-first example."""
        return self._answer_line[0]

    @property
    def can_label_first(self) -> bool:
        """Whether the answer stands on a line of its own, below the question."""
        head, tail = self._answer_line
        return bool(self.labels) and bool(head) and "{" not in tail

    def render_label_first(self, example: Example) -> str:
        """Return the example with its answer line above the question: `Class: spam`, then `Text: ...`."""
        head, _ = self._answer_line
        return f"{self.ask_for_label(example.answer)}\n{head.format(**example.fields)}"

    def ask_for_label(self, label: str) -> str:
        """Return the answer line that opens a label-first example, such as `Class: spam`."""
        return self._answer_line[1].format() + label

    # Text to example

    def _pattern(self, template_pieces: list[tuple[str, str]]) -> str:
        parts = []
        for literal, name in template_pieces:
            text = r"(?:(?!\n\n)[\s\S])+?" if name in self.multiline else r"[^\n]+?"
            if name == ANSWER:
                text = self._answer_regex
            parts.append(f"{re.escape(literal)}(?P<{name}>{text})")
        return "".join(parts)

    @cached_property
    def _answer_regex(self) -> str:
        if self.answer_pattern:
            return self.answer_pattern
        if self.labels:
            return label_pattern(self.labels)
        return r"(?:(?!\n\n)[\s\S])+?" if ANSWER in self.multiline else r"[^\n]+?"

    @cached_property
    def _example_regex(self) -> re.Pattern[str]:
        return re.compile(self._pattern(self._pieces) + _end_of_example(ANSWER in self.multiline))

    @cached_property
    def _label_first_regex(self) -> re.Pattern[str]:
        head, _ = self._answer_line
        body = self._pattern(self._pieces[:-1]) + re.escape(_literal_tail(head))
        return re.compile(body + _end_of_example(self.field_names[-1] in self.multiline))

    def parse(self, text: str) -> Example | None:
        """Read the example that `text` starts with; the inverse of `render`. None where there is none."""
        match = self._example_regex.match(text.lstrip("\n"))
        return self._from_match(match, None)

    @cached_property
    def _question_regex(self) -> re.Pattern[str]:
        last = self.field_names[-1] in self.multiline
        return re.compile(self._pattern(self._pieces[:-1]) + _end_of_example(last))

    def parse_question(self, text: str) -> dict[str, str] | None:
        """Read the fields of the question that is all that `text` starts with; None where there is more, or less."""
        match = self._question_regex.match(text.lstrip("\n"))
        return {name: match[name].strip() for name in self.field_names} if match else None

    def parse_label_first(self, text: str, label: str) -> Example | None:
        """Read the question that `text` starts with, as an example of `label`. None where there is none."""
        match = self._label_first_regex.match(text.lstrip("\n"))
        return self._from_match(match, label)

    def _from_match(self, match: re.Match[str] | None, label: str | None) -> Example | None:
        if match is None:
            return None
        fields = {name: match[name].strip() for name in self.field_names}
        answer = label if label is not None else match[ANSWER].strip()
        if self.labels:
            answer = self._label(answer) or ""
        if not answer or not all(fields.values()) or self._spans_two(fields) or self.parse_answer(answer) is None:
            return None
        return Example(fields=fields, answer=answer)

    def _spans_two(self, fields: Mapping[str, str]) -> bool:
        """Whether a field of several lines swallowed the start of another example."""
        opening = "\n" + self.opening
        return len(opening) > 1 and any(opening in fields[name] for name in self.field_names if name in self.multiline)

    # Answers

    def _label(self, text: str) -> str | None:
        return self._labels_folded.get(folded(text))

    @cached_property
    def _labels_folded(self) -> dict[str, str]:
        return {folded(label): label for label in self.labels}

    def parse_answer(self, text: str) -> str | None:
        """Read the graded answer at the start of a student's free continuation; None where it cannot be read."""
        text = text.strip()
        if self.metric == "labels":
            return label_at_start(text, self.labels)
        if self.metric == "number":
            if self.answer_marker:
                _, found, text = text.partition(self.answer_marker)
                if not found:
                    return None
            return read_number(text, self.decimal)
        if self.answer_pattern:
            match = re.match(self.answer_pattern, text)
            return match[0] if match else None
        return text.split("\n")[0].strip() or None

    def correct(self, answer: str, example: Example) -> bool:
        """Tell whether a parsed `answer` is right for `example`."""
        right = self.parse_answer(example.answer)
        if self.metric == "number":
            return right is not None and same_number(answer, right)
        return right is not None and composed(answer) == composed(right)

    @property
    def stop(self) -> tuple[str, ...]:
        """Texts that end a student's free continuation."""
        return ("\n\n",) if ANSWER in self.multiline else ("\n",)


def _end_of_example(multiline: bool) -> str:
    """A lookahead for where an example's last part ends: at a blank line, or already at a line break."""
    return r"(?=[^\S\n]*\n\n|\s*\Z)" if multiline else r"(?=[^\S\n]*(?:\n|\Z))"


def _literal_tail(template: str) -> str:
    """The literal text after the last field of a format string."""
    tail = ""
    for text, name, _, _ in string.Formatter().parse(template):
        tail = tail + text if name is None else ""
    return tail
