"""Docs against the code: files, names, links, commands and options that they tell of are there."""

import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "social_learning"
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TELLING = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md"]
ROOMS = ("src", "tests", "docs", "examples", "benchmarks", "results", ".ci")

COMMANDS = """
import json, warnings
warnings.simplefilter("ignore")
import typer
from social_learning.cli import app
def told(command):
    options = [option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)]
    return {"options": options, "commands": {name: told(one) for name, one in getattr(command, "commands", {}).items()}}
print(json.dumps(told(typer.main.get_command(app))))
"""


@cache
def paths() -> frozenset[str]:
    """Every file and folder of the repository, and each with any number of its first folders left out."""
    found = [path for room in ROOMS for path in (ROOT / room).rglob("*") if "__pycache__" not in path.parts]
    names = [path.relative_to(ROOT).parts for path in (*found, *ROOT.iterdir())]
    return frozenset("/".join(parts[first:]) for parts in names for first in range(len(parts)))


def paths_told(text: str) -> list[str]:
    """What stands in backquotes and is a path of ours: a Python file, or a folder in lower case."""
    words = re.findall(r"`([\w./-]+)`", text)
    return [word for word in words if re.fullmatch(r"[a-z_./-]*\w\.py|[a-z_/-]+/", word)]


def named(text: str) -> list[tuple[str, str]]:
    """(name, file) of each "`name`, `name` or `name` in `file.py`"."""
    found = []
    for names, file in re.findall(
        r"((?:`\w+`(?:,? (?:and |or )?(?:to |in )?)?)+) in `([\w/]+\.py)`", text.replace("\n", " ")
    ):
        found += [(name, file) for name in re.findall(r"`(\w+)`", names)]
    return found


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.*)$", page.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", TELLING, ids=lambda page: page.name)
def test_every_file_that_is_told_of_is_there(page: Path) -> None:
    told = paths_told(page.read_text().partition("## Where we left our first plan")[0])  # which names what is not
    assert told or page.name != "architecture.md"
    assert [path for path in told if path.rstrip("/") not in paths()] == []


def test_every_name_is_in_the_file_that_it_is_told_to_be_in() -> None:
    told = [pair for page in TELLING for pair in named(page.read_text())]
    assert len(told) > 8
    missing = []
    for name, file in told:
        texts = [
            path.read_text() for path in SOURCE.rglob("*.py") if f"/{path.relative_to(SOURCE)}".endswith(f"/{file}")
        ]
        defined = rf"(?m)^\s*((async )?def|class) {name}\b|^\s*{name}\b.* = |^\s*{name}: "
        if not any(re.search(defined, text) for text in texts):
            missing.append((name, file))
    assert missing == []


def test_every_room_is_told_of() -> None:
    rooms = [path for path in SOURCE.iterdir() if path.name not in ("__pycache__", "py.typed", "bundled")]
    told = set(paths_told(ARCHITECTURE))
    missing = [
        path.name
        for path in rooms
        if path.name + "/" * path.is_dir() not in {one.partition("/")[0] + "/" for one in told} | told
    ]
    assert missing == []


def test_the_layers_are_those_that_are_checked() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in settings if contract["type"] == "layers")
    block = ARCHITECTURE.partition("## Layers")[2].partition("```\n")[2].partition("```")[0]
    told = [sorted(re.split(r", ", line)) for line in block.splitlines()]
    assert told == [sorted(re.split(r" [|:] ", layer.replace("social_learning.", ""))) for layer in layers]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not re.match(r"\w+:", link):
            file, _, anchor = link.partition("#")
            target = (page.parent / file).resolve() if file else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_every_command_and_option_in_a_code_block_is_there() -> None:
    told = subprocess.run([sys.executable, "-c", COMMANDS], capture_output=True, text=True, check=True)
    tree = json.loads(told.stdout)
    checked = 0
    for page in PAGES:
        blocks = re.findall(r"(?m)^```(?:sh|bash|console)?\n(.*?)^```", page.read_text(), re.DOTALL)
        blocks += re.findall(r"`(social-learning [^`]+)`", page.read_text())
        lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
        for line in lines:
            if not (match := re.match(r"(?:\S*/)?social-learning (.*)", line.partition(" #")[0].strip())):
                continue
            words, command = match[1].split(), tree
            while words and words[0] in command["commands"]:
                command = command["commands"][words.pop(0)]
            assert not command["commands"] or not words or words[0].startswith("-"), f"{page.name}: {line}"
            options = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
            assert [one for one in options if one not in (*command["options"], "--help")] == [], f"{page.name}: {line}"
            checked += 1
    assert checked > 20
