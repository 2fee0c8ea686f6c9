"""The report in a real browser: it loads without a complaint, wide and narrow, and hostile text runs nothing."""

import html
import json
import re
import shutil
import struct
import subprocess
import unicodedata
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from social_learning.audit import audit
from social_learning.audit_plan import Plan
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

PDFTOTEXT = shutil.which("pdftotext")
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

needs_pdftotext = pytest.mark.skipif(PDFTOTEXT is None, reason="no pdftotext on PATH")
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


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of an audit, with closeness of a run beside it."""
    folder = tmp_path_factory.mktemp("audited") / "seen"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        experiment = parse_experiment({**EXPERIMENT, "repeats": 1, "privacy": {"silos": str(folder.parent / "silos")}})
        run(experiment, folder)
        audit(experiment, Plan(trials=3, references=99), folder)
    return folder / "audit.html"


@pytest.fixture(scope="module")
def owner(audited: Path) -> Path:
    """The page for the owner of a silo."""
    return sorted(audited.parent.parent.glob("silos/*/owner-*.html"))[0]


def browse(profile: Path, page: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Open a page in Chromium and return what it printed."""
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def framed(folder: Path, page: Path, width: int, question: str) -> str:
    """Show a page with everything unfolded in a window of a width, and return what a script in it finds. Asked in a copy that
    lets scripts run.
    """
    opened = re.sub(r"<details( class=\"\w+\")?>", "<details open>", page.read_text())
    allowed = re.sub(r"<meta http-equiv=.*", "", opened)
    (folder / "page.html").write_text(f"{allowed}<script>parent.postMessage({question}, '*')</script>")
    frame = folder / "frame.html"  # Chromium's own window is no narrower than 500 pixels
    frame.write_text(
        "<title>none</title><script>onmessage = told => { document.title = told.data }</script>"
        f'<iframe src="page.html" width="{width}" height="800" frameborder="0"></iframe>'
    )
    seen = browse(folder / "profile", frame, "--dump-dom")
    return seen.stdout.partition("<title>")[2].partition("</title>")[0]


def printed(folder: Path, page: Path) -> str:
    """The text of a page printed on paper, without blanks: lines are broken anywhere. What sticks out of the paper is not in it."""
    pdf = folder / "page.pdf"
    browse(folder / "profile", page, "--no-pdf-header-footer", f"--print-to-pdf={pdf}")
    command = [str(PDFTOTEXT), "-raw", str(pdf), "-"]
    return squeezed(subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout)


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text))


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


SIZES = "`${innerWidth} ${document.documentElement.scrollWidth}`"
HIDDEN = """(() => {
  const wide = [...document.querySelectorAll('.wide, table')].filter(one => one.scrollWidth > one.clientWidth + 1);
  const gone = [...document.querySelectorAll('tbody td, tbody th')].filter(
    one => one.textContent.trim() && (!one.offsetParent || getComputedStyle(one).visibility == 'hidden'));
  const cells = document.querySelectorAll('tbody td').length;
  return [wide.length, gone.length, cells].join(' ');
})()"""
PAGES = pytest.mark.parametrize("page", ["report", "tables", "audited", "owner"])


@pytest.mark.parametrize("width", [390, 400, 1100])
@PAGES
def test_the_page_fits_its_window(page: str, request: pytest.FixtureRequest, tmp_path: Path, width: int) -> None:
    """With everything unfolded, nothing sticks out sideways."""
    assert framed(tmp_path, request.getfixturevalue(page), width, SIZES) == f"{width} {width}"


@pytest.mark.parametrize("width", [360, 400, 840, 980, 1100])
@pytest.mark.parametrize("page", ["report", "tables", "audited"])
def test_no_figure_of_a_table_is_hidden(page: str, request: pytest.FixtureRequest, tmp_path: Path, width: int) -> None:
    """No table has to be scrolled, and every cell that has something in it is shown. On a wide page a group is named once."""
    wide, gone, cells = map(int, framed(tmp_path, request.getfixturevalue(page), width, HIDDEN).split())
    assert wide == 0
    assert gone == 0 or (page == "tables" and width > 960)
    assert cells > 20


def test_a_table_too_wide_for_its_box_would_be_found(report: Path, tmp_path: Path) -> None:
    """The control for the two tests above."""
    page = tmp_path / "wide.html"
    row = '<div class="wide"><table><tbody><tr><td>' + "x" * 600 + '</td></tr></tbody></table></div><td style="'
    page.write_text(
        report.read_text().replace(
            "<main>", f"<main><style>td {{ white-space: pre; overflow-wrap: normal !important }}</style>{row}"
        )
    )
    wide, _, _ = map(int, framed(tmp_path, page, 400, HIDDEN).split())
    assert wide > 0


@needs_pdftotext
def test_the_printed_report_has_every_lesson_and_every_message(report: Path, tmp_path: Path) -> None:
    """Details are open on paper, also those within others, and nothing is cut off at its edge."""
    # Some are open on the screen, too: a lesson, and messages that the top of the page links to.
    assert report.read_text().count("<details") > report.read_text().count(" open>") + 3
    text = printed(tmp_path, report)
    cells = sorted((report.parent / "cells").iterdir())
    lessons = [Lesson.load(cell) for cell in cells if cell.name.endswith("-r0") and (cell / "lesson.json").is_file()]
    assert len(lessons) > 3
    for lesson in lessons:
        assert squeezed(lesson.prompt({"text": "…"})) in text
    files = [cell / "messages.jsonl" for cell in cells if (cell / "messages.jsonl").is_file()]
    logs = [line for file in files for line in file.read_text().splitlines()]
    replies = [json.loads(line)["reply"] for line in logs]
    texts = [e["fields"]["text"] for reply in replies for e in reply.get("examples", ())]
    texts += [reply["instruction"] for reply in replies if reply.get("instruction")]
    assert len(texts) > 20
    missing = [told for told in texts if squeezed(told)[:400] not in text]  # a long one may go on on the next sheet
    assert missing == []


@needs_pdftotext
@pytest.mark.parametrize("page", ["report", "tables", "audited", "owner"])
def test_every_cell_of_every_table_is_on_paper(page: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    path = Path(request.getfixturevalue(page))
    text = printed(tmp_path, path)
    source = re.sub(r"<td[^>]*class=\"again\".*?</td>", "", path.read_text())
    source = re.sub(r"<table class=\"messages\".*?</thead>", "", source, flags=re.DOTALL)  # its cells say what they are
    cells = re.findall(r"<t[dh]\b[^>]*>(.*?)</t[dh]>", source, re.DOTALL)
    wanted = [squeezed(html.unescape(re.sub("<.*?>", "", cell))) for cell in cells if "<pre" not in cell]
    assert [cell for cell in wanted if cell[:500] not in text] == []
    assert len(wanted) > 20 or page == "owner"
    for heading in re.findall(r"<(?:h2|h3|summary)[^>]*>(.*?)</(?:h2|h3|summary)>", source, re.DOTALL):
        assert squeezed(html.unescape(re.sub("<.*?>", "", heading)))[:500] in text


@needs_pdftotext
def test_folded_details_would_be_missed_on_paper(report: Path, tmp_path: Path) -> None:
    """The control: without the rule that opens them, what they hold is not in the printed text."""
    page = tmp_path / "folded.html"
    page.write_text(report.read_text().replace("details::details-content", "details::nothing"))
    folded, unfolded = printed(tmp_path, page), printed(tmp_path, report)
    assert squeezed("The same by teacher") in folded
    assert unfolded.count("teacher-2") > folded.count("teacher-2") + 3
