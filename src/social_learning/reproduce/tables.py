"""The tables: which lines each of them has, which arm of ours stands in a line, and which figures of the paper's."""

from dataclasses import dataclass
from typing import Literal

Recipe = Literal["default", "paper"]
Measure = Literal["accuracy", "distance", "rank", "firsts"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table, at each number of shots that its arm has.

    `arm` is ours (None: the paper's figures alone), `other_teachers` whether it is of the run whose teachers have
    another model. `paper` is the name of the paper's line. `against` is the arm that it is tested against. `rated`:
    the best among such lines is set in bold. `drawn`: its curve is drawn.
    """

    label: str
    arm: str | None
    paper: str | None = None
    against: str | None = None
    recipe: Recipe | None = None
    other_teachers: bool = False
    rated: bool = True
    drawn: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the paper. `about` says in one sentence what is compared, and what a star means."""

    name: str
    title: str
    about: str
    measure: Measure
    lines: tuple[Line, ...]

    @property
    def number(self) -> str:
        """Its number in the paper."""
        return self.name.removeprefix("table")


ZERO_SHOT = Line("zero-shot", "zero-shot", "zero-shot", rated=False)
FORMAT_NOTE = Line("zero-shot, format note", "format-note", "zero-shot, format note", rated=False)
"""Of GSM8K alone: other tasks have no such arm."""
ORIGINAL = Line("original", "original", "original")
RECIPES: tuple[tuple[str, Recipe], ...] = (("", "default"), ("-paper", "paper"))


def _both(arm: str, paper: str, against: str, *, per_recipe: bool = False, other: bool = False) -> tuple[Line, ...]:
    """A line for each of our two recipes, beside the same figures of the paper."""
    return tuple(
        Line(arm + ending, arm + ending, paper, against + (ending if per_recipe else ""), recipe, other)
        for ending, recipe in RECIPES
    )


_GENERATED = tuple(
    Line(f"generated{ending}", f"generated{ending}", "generated", recipe=recipe) for ending, recipe in RECIPES
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "table1",
            "original and generated examples",
            "A star marks what differs significantly from original examples at the same number of shots.",
            "accuracy",
            (ZERO_SHOT, FORMAT_NOTE, ORIGINAL, *_both("generated", "generated", "original")),
        ),
        Table(
            "table2",
            "instructions",
            "A star marks what differs significantly from the hand-written instruction.",
            "accuracy",
            (
                ZERO_SHOT,
                Line("manual", "manual", "manual"),
                Line("GPT-3.5 instruction", None, "GPT-3.5 instruction"),
                Line("instruction", "instruction", "instruction", "manual"),
            ),
        ),
        Table(
            "table3",
            "Secret Sharer, mean rank",
            "0 is the worst, half of the references is chance. A star marks ranks that are significantly lower than chance.",
            "rank",
            _GENERATED,
        ),
        Table(
            "table4",
            "Secret Sharer, how often the canary ranks first",
            "A star marks ranks that are significantly lower than chance: those of Table 3.",
            "firsts",
            _GENERATED,
        ),
        Table(
            "table6",
            "distance of generated examples from the private text",
            "0 is a copy, 1 has nothing in common.",
            "distance",
            _GENERATED,
        ),
        Table(
            "table10",
            "teachers of another model",
            "A star marks what differs significantly from original examples at the same number of shots.",
            "accuracy",
            (
                ORIGINAL,
                *_both("other-teachers", "generated", "original", other=True),
                Line("teachers alone", "alone", "small model alone", other_teachers=True, rated=False, drawn=False),
            ),
        ),
        Table(
            "table12",
            "voting aggregator",
            "A star marks what differs significantly from the random aggregator with the same recipe and shots.",
            "accuracy",
            (
                *_GENERATED,
                *_both("voted", "voted", "generated", per_recipe=True),
            ),
        ),
    )
}
"""The tables by name, in the paper's order."""
