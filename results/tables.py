"""Puts the measured results into the docs: between `<!-- results/NAME -->` and `<!-- end -->`, the table of results/NAME.

    .venv/bin/python results/tables.py

Each folder here holds the experiment file, with the command that runs it, and what the run wrote: results.json, results.csv and
run.json (settings, versions, data, models).
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/results.md")
MARKED = re.compile(r"(<!-- results/([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(name: str) -> str:
    """Return the Markdown table of one run."""
    result = json.loads((ROOT / "results" / name / "results.json").read_text())
    lines = ["| arm | shots | accuracy, % | p | repeats × rows |", "| --- | --- | --- | --- | --- |"]
    for arm in result["arms"]:
        error = "" if arm["stderr"] is None else f" ({100 * arm['stderr']:.1f})"
        p = arm["p_value"]
        told = "" if p is None else ("<0.001" if p < 0.001 else f"{p:.3f}") + ("*" if p < 0.05 else "")
        unparsed = f", {arm['unparsed']} unparsed" if arm["unparsed"] else ""
        cells = (
            arm["name"],
            str(arm["shots"] or ""),
            f"{100 * arm['accuracy']:.1f}{error}{unparsed}",
            told,
            f"{arm['repeats']} × {arm['test_rows']}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def filled(page: str) -> str:
    """Return a page with its tables as the results say."""
    return MARKED.sub(lambda match: match[1] + table(match[2]) + match[3], page)


def main() -> None:
    """Rewrite the pages."""
    for page in PAGES:
        path = ROOT / page
        path.write_text(filled(path.read_text()))


if __name__ == "__main__":
    main()
