"""The report in a real browser: it loads without a complaint, wide and narrow, and hostile text runs nothing."""

import json
import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from social_learning.config import cells_of, parse_experiment
from social_learning.evaluation import Evaluation, Outcome
from social_learning.experiment import run
from social_learning.lesson import Lesson
from social_learning.models.base import Usage
from social_learning.provenance import Origin
from social_learning.reproduce import Request
from social_learning.reproduce.plan import experiment_for
from social_learning.reproduce.runner import write_all
from social_learning.results import Cell

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
)
DARK = "--blink-settings=preferredColorScheme=0"
EXPERIMENT: dict[str, Any] = {
    "name": "seen",
    "task": "phone_messages",
    "repeats": 2,
    "shots": [4],
    "data": {"test_rows": 20},
    "teachers": {"model": "fake:mixer", "count": 3},
    "student": {"model": "fake:mixer"},
}
HOSTILE = '<script>document.title = "run"</script><img src=x onerror="document.title = 1"></pre></body>'

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The report of a small run on fakes, with hostile text in a lesson, and with very long words in what left a silo."""
    folder = tmp_path_factory.mktemp("run") / "seen"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        experiment = parse_experiment(EXPERIMENT)
        run(experiment, folder)
        cell = folder / "cells" / "generated-n4-r0"
        lesson = Lesson.load(cell).model_copy(update={"instruction": HOSTILE})
        (cell / "lesson.json").write_text(lesson.to_json())
        log = cell / "messages.jsonl"
        first, *others = log.read_text().splitlines(keepends=True)
        line = json.loads(first)
        line["reply"]["teacher"] = HOSTILE + "w" * 300
        line["reply"]["examples"][0]["fields"]["text"] = HOSTILE + "m" * 3000
        log.write_text("".join([json.dumps(line) + "\n", *others]))
        run(experiment, folder)
        yield folder / "report.html"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of reproduced tables, with invented outcomes and a hostile reason why an arm has no lesson."""
    root = tmp_path_factory.mktemp("tables")
    request = Request(("table1", "table2"), tasks=("sms_spam", "gsm8k"), repeats=2, overrides=("shots=[1,4,16]",))
    for task in request.tasks:
        for _, key in cells_of(experiment_for(request, task)):
            cell = root / task / "cells" / key.name
            cell.mkdir(parents=True)
            right = 10 + key.shots + 3 * key.repeat
            outcomes: list[Outcome] = ["correct"] * right
            outcomes += ["wrong"] * (40 - right)
            evaluation = Evaluation((*outcomes, "unparsed"))
            (cell / "cell.json").write_text(json.dumps(Cell(key, evaluation, Usage(), Usage(), 1, 1).to_table()))
            if (task, key.arm) == ("gsm8k", "generated"):
                (cell / "cell.json").unlink()
                (cell / "failed.json").write_text(json.dumps({"failed": HOSTILE + "f" * 300}))
    write_all(request, root, Origin("test").stamp("2026-01-01T00:00:00.000Z", {}))
    return root / "reproduce.html"


def browse(profile: Path, page: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Open a page in Chromium and return what it printed."""
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def pixels(png: bytes) -> tuple[int, int, bytes]:
    """Width and height of a picture, and its filtered rows; their first pixel is the picture's top left one."""
    width, height = struct.unpack(">II", png[16:24])
    data, at = b"", 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += length + 12
    return width, height, zlib.decompress(data)[1:]


def test_the_page_loads_without_a_complaint_and_runs_nothing(report: Path, tmp_path: Path) -> None:
    seen = browse(tmp_path / "profile", report, "--dump-dom")
    assert "CONSOLE" not in seen.stderr
    assert "<title>seen: social learning report</title>" in seen.stdout
    assert seen.stdout.count("<svg") == 1 + 3  # accuracy, and the distances of three arms that let something out
    assert seen.stdout.count('class="mean"') == 5
    assert "&lt;script&gt;document.title" in seen.stdout
    assert "<script" not in seen.stdout
    assert "<img" not in seen.stdout


def test_the_link_at_the_top_leads_to_the_message(report: Path, tmp_path: Path) -> None:
    """Followed in a real browser, it is unfolded and in sight. Asked by a script, in a copy that lets one run."""
    page = tmp_path / "page.html"
    allowed = re.sub(r"<meta http-equiv=.*", "", report.read_text())
    page.write_text(
        allowed + "<script>const link = document.querySelector('#nearest a'); link.click(); setTimeout(() => {"
        "const found = document.querySelector(':target'), box = found.getBoundingClientRect();"
        "const shown = document.querySelector('#nearest pre').textContent === found.textContent;"
        "document.title = `${box.height > 0 && scrollY > 0} ${box.top > -2 && box.top < innerHeight} ${shown}` }, 100)</script>"
    )
    seen = browse(tmp_path / "profile", page, "--dump-dom", "--virtual-time-budget=2000")
    assert "<title>true true true</title>" in seen.stdout


def test_a_script_would_be_refused_and_told(report: Path, tmp_path: Path) -> None:
    """The control for the test above: what it looks for in the log does appear there."""
    page = tmp_path / "page.html"
    page.write_text(report.read_text().replace("</body>", HOSTILE))
    seen = browse(tmp_path / "profile", page, "--dump-dom")
    assert "CONSOLE" in seen.stderr
    assert "Content Security Policy" in seen.stderr
    assert "<title>seen: social learning report</title>" in seen.stdout


@pytest.mark.parametrize(("flags", "paper"), [((), "ffffff"), ((DARK,), "15181b")], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_drawn(report: Path, tmp_path: Path, width: int, flags: tuple[str, ...], paper: str) -> None:
    picture = tmp_path / "page.png"
    seen = browse(tmp_path / "profile", report, *flags, f"--window-size={width},1600", f"--screenshot={picture}")
    assert "CONSOLE" not in seen.stderr
    drawn_width, drawn_height, rows = pixels(picture.read_bytes())
    assert (drawn_width, drawn_height) == (width, 1600)
    assert rows[:3].hex() == paper
    assert len(set(rows)) > 200


def test_the_page_of_tables_loads_without_a_complaint(tables: Path, tmp_path: Path) -> None:
    seen = browse(tmp_path / "profile", tables, "--dump-dom")
    assert "CONSOLE" not in seen.stderr
    assert "<title>smollm2-135m-instruct: the paper's tables</title>" in seen.stdout
    assert seen.stdout.count('class="plot chart"') == 2  # Table 1, on two tasks
    # Seven curves of SMS Spam (ours: 1 + 3 x 3 marks), eight of GSM8K (two are of the format note), whose generated lines have no
    # lesson.
    assert seen.stdout.count('class="mark-dot"') == (1 + 9 + 1 + 6) + 7 + (2 + 6 + 2 + 6) + 8
    assert "<img" not in seen.stdout
    assert "<script" not in seen.stdout


@pytest.mark.parametrize("width", [390, 1100])
@pytest.mark.parametrize("page", ["report", "tables"])
def test_the_page_fits_its_window(page: str, request: pytest.FixtureRequest, tmp_path: Path, width: int) -> None:
    """With everything unfolded, nothing sticks out sideways. Asked by a script, in a copy that lets one run."""
    text = Path(request.getfixturevalue(page)).read_text()
    opened = re.sub(r"<details( class=\"\w+\")?>", "<details open>", text)
    allowed = re.sub(r"<meta http-equiv=.*", "", opened)
    (tmp_path / "page.html").write_text(
        allowed + "<script>parent.postMessage(`${innerWidth} ${document.documentElement.scrollWidth}`, '*')</script>"
    )
    frame = tmp_path / "frame.html"  # Chromium's own window is no narrower than 500 pixels
    frame.write_text(
        "<title>none</title><script>onmessage = told => { document.title = told.data }</script>"
        f'<iframe src="page.html" width="{width}" height="800" frameborder="0"></iframe>'
    )
    seen = browse(tmp_path / "profile", frame, "--dump-dom")
    assert f"<title>{width} {width}</title>" in seen.stdout
