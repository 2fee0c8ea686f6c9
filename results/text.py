"""Text: figures and tables as Markdown has them. Formatting only."""

from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).resolve().parent


def points(share: float) -> str:
    """Return a difference of shares in percentage points, with its sign: `+7.7`, `-2.0`, `0.0`."""
    rounded = round(100 * share, 1) + 0.0
    return f"{rounded:+.1f}" if rounded else "0.0"


def p_value(p: float | None) -> str:
    """Return p with three digits; empty where there is none."""
    return "" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "".join("| " + " | ".join(cells) + " |\n" for cells in (head, ["---"] * len(head), *lines))
