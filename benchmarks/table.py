"""The table of a benchmark, from what was measured: for the terminal (80 columns) and as Markdown. Pure."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 80
COLUMNS = ("work", "ours, s", "peer", "peer, s", "ratio", "asked")


def told(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a measurement with, for each peer, whether the ratio that was asked for is reached; None where it failed."""
    peers = [{**row, "reached": row["ratio"] >= row["asked"] if "ratio" in row else None} for row in table["peers"]]
    return {**table, "peers": peers}


def rows(tables: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return the cells of the table, one row for each work and peer. A failure is told, never a number."""
    result: list[tuple[str, ...]] = []
    for table in tables:
        if "failed" in table["ours"]:
            result.append((table["work"], "failed", "", "", "", ""))
            continue
        ours = f"{table['ours']['seconds']:.1f}"
        for row in table["peers"]:
            asked = f"{row['asked']:g}x"
            if "failed" in row:
                result.append((table["work"], ours, row["peer"], "failed", "", asked))
                continue
            mark = "*" if "note" in row else ""
            result.append(
                (table["work"], ours, row["peer"], f"{row['seconds_for_all']:.1f}{mark}", f"{row['ratio']:.1f}x", asked)
            )
    return result


def notes(tables: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what stands below the table: works in words, peers that did a part, agreement, failures."""
    result = []
    for table in tables:
        result.append(f"{table['work']}: {table['what']}")
        if "failed" in table["ours"]:
            result.append(f"  ours failed: {table['ours']['failed']}")
        for row in table["peers"]:
            result.extend(f"  {line}" for line in _about(row))
    return result


def _about(row: Mapping[str, Any]) -> list[str]:
    if "failed" in row:
        return [f"{row['peer']} failed: {row['failed']}"]
    lines = [f"* {row['peer']} {row['note']}"] if "note" in row else []
    if "tokens" in row:
        lines.append(f"{row['peer']}: {row['tokens']}")
    agree = row.get("agreement") or {}
    if "same_texts" in agree:
        lines.append(f"same texts as {row['peer']}: {agree['same_texts']} of {agree['of']}")
    if "same_label" in agree:
        lines.append(f"same label as {row['peer']}: {agree['same_label']} of {agree['of']}")
    if "float32" in row:
        exact = row["float32"]
        said = "within" if exact["within"] else "NOT within"
        lines.append(f"float32: largest difference {exact['largest_difference']:.1e}, {said} {exact['limit']:g}")
    if "warning" in row:
        lines.append(f"warning: {row['warning']}")
    return lines


def lines(tables: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the table for the terminal, no line longer than 80 characters."""
    cells = [COLUMNS, *rows(tables)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(COLUMNS))]
    drawn = [
        "  ".join(
            cell.ljust(width) if column in (0, 2) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return [*drawn, "", *(part for note in notes(tables) for part in _folded(note))]


def _folded(text: str) -> list[str]:
    indent = " " * (len(text) - len(text.lstrip()) + 4)
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent)


def markdown(tables: Sequence[Mapping[str, Any]]) -> str:
    """Return the table in Markdown."""
    head = ["| " + " | ".join(COLUMNS) + " |", "| " + " | ".join("---" for _ in COLUMNS) + " |"]
    return "\n".join([*head, *("| " + " | ".join(row) + " |" for row in rows(tables))]) + "\n"
