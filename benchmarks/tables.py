"""Puts the benchmarks' results into docs/performance.md, docs/endpoints.md and docs/results.md: between `<!-- benchmarks/NAME -->`
and `<!-- end -->`.

    .venv/bin/python -m benchmarks.tables

NAME is `table` (ours against the peers), `machine`, `counts`, `peak`, `agreement`, `endpoint`, `poisoned`, or a part of the growth:
shots, rows, canaries, teachers, memory. Where nothing was measured yet, the place says so.
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
PAGES = ("docs/performance.md", "docs/endpoints.md", "docs/results.md")
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
    if name == "counts":
        return _rows(measured["counts"])
    return {"peak": _peak, "agreement": agreement, "endpoint": _endpoint, "poisoned": _poisoned}[name](measured)


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


def _poisoned(measured: Mapping[str, Any]) -> str:
    def points(value: float, error: float | None) -> str:
        return f"{value:.1f}" + ("" if error is None else f" ({error:.1f})")

    return _rows(
        [
            {
                "aggregator": row["aggregator"],
                "condition": row["condition"],
                "accuracy, %": points(row["accuracy"], row["standard_error"]),
                "points below 7 honest": points(row["below_honest"], row["below_honest_standard_error"]),
                "poisoned examples in a lesson": f"{row['poisoned_examples']:.1f}",
            }
            for row in measured["conditions"]
        ]
    )


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


def agreement(measured: Mapping[str, Any]) -> str:
    """Return the table of agreement, and what it rests on, as Markdown."""
    rows = [
        {
            "shots": row["shots"],
            "float32 here against": row["against"],
            "mean difference": f"{row['mean_difference']:.4f}",
            "largest": f"{row['largest_difference']:.4f}",
            "same label": f"{100 * row['same_label']:.1f} %",
            "same answer": f"{100 * row['same_answer']:.1f} %",
            "same token counts": row["same_token_counts"],
        }
        for row in measured["table"]
    ]
    means: dict[bool, list[float]] = {True: [], False: []}
    for row in measured["table"]:
        means[row["against"] == "llama-server"].append(row["mean_difference"])
    times = [served / rounded for served, rounded in zip(means[True], means[False], strict=True)]
    return (
        f"{_rows(rows)}\n{measured['rows']} questions for each row of the table, two labels and one greedy answer each. In the mean, "
        f"llama-server differs from float32 by {min(times):.1f} to {max(times):.1f} times what bfloat16 does.\n"
    )


def _endpoint(measured: Mapping[str, Any]) -> str:
    overhead, faults = measured["overhead"], measured["faults"]
    return (
        f"- {overhead['wall_ms_per_call']:.1f} ms of wall time per call against a server that answers at once, "
        f"{overhead['processor_ms_per_call']:.1f} ms of it processor\n  time of the client ({overhead['calls']:,} calls, "
        f"{measured['in_flight']} in flight).\n"
        f"- {faults['calls']:,} calls, {100 * faults['share']:.0f} % of them with a fault ({', '.join(sorted(faults['injected']))}): "
        f"{faults['lost']} lost,\n  {faults['answered_twice']} answered twice.\n"
    )


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
