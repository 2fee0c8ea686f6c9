"""Puts the benchmark's results into docs/performance.md: between `<!-- benchmarks/NAME -->` and `<!-- end -->`.

    .venv/bin/python -m benchmarks.tables

NAME is `table` (ours against the peers), `machine`, `counts`, `peak`, or a part of the growth: shots, rows, canaries, teachers,
memory.
Where nothing was measured yet, the place says so.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import table
from benchmarks.compare import PEERS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGES = ("docs/performance.md",)
MARKED = re.compile(r"(<!-- benchmarks/([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
NOTHING = "Not measured yet.\n"
GROWTH = ("shots", "rows", "canaries", "teachers", "memory")


def content(name: str, results: Path = RESULTS) -> str:
    """Return what stands in one marked place, as Markdown."""
    if name in ("table", "machine"):
        found = [json.loads(file.read_text()) for work in PEERS if (file := results / f"{work}.json").is_file()]
        if not found:
            return NOTHING
        return _table(found) if name == "table" else _machine(found[0])
    file = results / ("growth.json" if name in GROWTH else f"{name}.json")
    measured = json.loads(file.read_text()) if file.is_file() else {}
    if name in GROWTH:
        return _rows(measured[name]) if name in measured else NOTHING
    if not measured:
        return NOTHING
    return _rows(measured["counts"]) if name == "counts" else _peak(measured)


def _table(found: Sequence[Mapping[str, Any]]) -> str:
    below = "".join(f"- {line.strip()}\n" for line in table.notes(found))
    commands = "".join(f"- `{row['command']}`\n" for one in found for row in one["peers"] if "command" in row)
    return f"{table.markdown(found)}\n{below}\nThe peers' commands:\n\n{commands}"


def _machine(one: Mapping[str, Any]) -> str:
    facts, versions = one["machine"], one["machine"]["versions"]
    features = f" ({', '.join(facts['features'])})" if facts["features"] else ""
    named = ", ".join(f"{name} {versions[name]}" for name in ("torch", "transformers") if name in versions)
    peers = {
        name: version
        for row in one["peers"]
        for name, version in row.get("versions", {}).items()
        if name not in versions
    }
    theirs = "".join(f", {name} {version}" for name, version in peers.items())
    where = facts["gpu"] if one["device"] != "cpu" else f"{facts['processor']}, {facts['cores']} cores{features}"
    return f"{where}, {facts['memory_gib']} GiB; {one['dtype']}; {named}{theirs}.\n"


def _peak(measured: Mapping[str, Any]) -> str:
    lines = []
    for dtype, told in measured["formats"].items():
        lines.append(f"{dtype}: peak {told['peak_flops'] / 1e9:,.0f} GFLOP/s (product of {told['peak_size']})\n")
        rows = [
            {
                "case": case["case"],
                "distinct tokens": case["distinct_tokens"],
                "tokens/s": round(case["tokens_per_second"]),
                "of peak, %": round(100 * case["of_peak"]),
                "without attention, %": round(100 * case["of_peak_without_attention"]),
                "time in products, attention, other, %": _shares(case["profile"]),
            }
            for case in told["cases"]
        ]
        lines.append(_rows(rows))
    return "\n".join(lines)


def _shares(seconds: Mapping[str, float]) -> str:
    return " / ".join(f"{100 * part / sum(seconds.values()):.0f}" for part in seconds.values())


def _rows(told: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a Markdown table; numbers with at most two digits after the point."""
    names = list(dict.fromkeys(name for row in told for name in row))
    lines = [
        "| " + " | ".join(name.replace("_", " ") for name in names) + " |",
        "| " + " | ".join("---" for _ in names) + " |",
    ]
    lines.extend("| " + " | ".join(_cell(row.get(name, "")) for name in names) + " |" for row in told)
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def filled(page: str) -> str:
    """Return a page with its marked places as the results say."""
    return MARKED.sub(lambda match: match[1] + content(match[2]) + match[3], page)


def main() -> None:
    """Rewrite the pages."""
    for page in PAGES:
        path = ROOT / page
        path.write_text(filled(path.read_text()))


if __name__ == "__main__":
    main()
