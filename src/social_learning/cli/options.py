"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Folder with the built-in tasks' data.", show_default=False)
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Run folder. [default: runs/NAME-FINGERPRINT]", show_default=False),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", metavar="KEY=VALUE", help="Override a setting, e.g. -s teachers.count=4.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
ExperimentOption = Annotated[
    Path | None,
    typer.Option(
        "--experiment", metavar="FILE", help="Experiment file whose [models.NAME] tables are meant.", show_default=False
    ),
]
MaxCostOption = Annotated[
    float | None,
    typer.Option(
        "--max-cost",
        metavar="AMOUNT",
        help="Stop when endpoints have cost so much (budget.max_cost).",
        show_default=False,
    ),
]


def with_max_cost(overrides: list[str] | None, max_cost: float | None) -> list[str]:
    """Return the overrides, with that of the budget among them."""
    return [*(overrides or []), *([] if max_cost is None else [f"budget.max_cost={max_cost!r}"])]
