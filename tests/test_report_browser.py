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

from social_learning.config import parse_experiment
from social_learning.experiment import run
from social_learning.lesson import Lesson

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


@pytest.mark.parametrize("width", [390, 1100])
def test_the_page_fits_its_window(report: Path, tmp_path: Path, width: int) -> None:
    """With everything unfolded, nothing sticks out sideways. Asked by a script, in a copy that lets one run."""
    opened = re.sub(r"<details( class=\"\w+\")?>", "<details open>", report.read_text())
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
