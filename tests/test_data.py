"""Data: rows from files, and rows to examples."""

import csv
import datetime
import gzip
import io
import json
import sys
import tempfile
import traceback
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from social_learning.data import ColumnMap, Row, conflicting, drop_duplicates, read_rows, to_examples
from social_learning.errors import DataError, TaskError
from social_learning.task import Example, Task

SECRET = "meet Ana at nine"
TASK = Task(
    name="mail",
    template="Text: {text}\nClass: {answer}",
    labels=("spam", "not spam"),
    metric="labels",
    multiline=("text",),
)

FORMS: tuple[Literal["NFC"], Literal["NFD"]] = ("NFC", "NFD")


def refusal(call: Callable[[], object]) -> str:
    """The text of the DataError that `call` ends in: one line, and nothing private in it or in its traceback."""
    with pytest.raises(DataError) as caught:
        call()
    text = str(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert "\n" not in text
    assert "Ana" not in shown
    return text


def refused(folder: Path, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    return refusal(lambda: read_rows(name, base=folder))


def row(**values: object) -> Row:
    return Row("mail.jsonl", 7, values)


# Writing rows, to read them back


def as_jsonl(rows: list[dict[str, str]]) -> bytes:
    lines = [json.dumps(values, ensure_ascii=number % 2 == 0) for number, values in enumerate(rows)]
    return "\n".join(lines).encode()


def as_separated(rows: list[dict[str, str]], delimiter: str) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8-sig")


def as_parquet(rows: Sequence[Mapping[str, object]]) -> bytes:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra 'hub')")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed (extra 'hub')")
    sink = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(rows), sink)
    return sink.getvalue()


WRITERS: dict[str, Callable[[list[dict[str, str]]], bytes]] = {
    ".jsonl": as_jsonl,
    ".ndjson": as_jsonl,
    ".csv": lambda rows: as_separated(rows, ","),
    ".tsv": lambda rows: as_separated(rows, "\t"),
    ".parquet": as_parquet,
}
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
AWKWARD = st.sampled_from(
    ["", " ", '"', '""', "a,b", "a\tb", "a\nb", "a\r\nb", "a\rb", "\ufeff", "\u2028", "\x1c", "null"]
)
ROWS = st.lists(st.fixed_dictionaries({"text": TEXT | AWKWARD, "answer": TEXT | AWKWARD}), min_size=1, max_size=5)


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("suffix", WRITERS)
def test_reads_back_what_was_written(suffix: str, zipped: bool) -> None:
    @settings(max_examples=40, derandomize=True, database=None, deadline=None)
    @given(ROWS)
    def check(rows: list[dict[str, str]]) -> None:
        data = WRITERS[suffix](rows)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"rows{suffix}{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(data) if zipped else data)
            assert [dict(one.values) for one in read_rows(path)] == rows

    check()


def test_suffixes_ignore_case(tmp_path: Path) -> None:
    (tmp_path / "A.JSONL.Gz").write_bytes(gzip.compress(b'{"text": "hi"}'))
    assert [one.values for one in read_rows("A.JSONL.Gz", base=tmp_path)] == [{"text": "hi"}]


def test_relative_paths_are_meant_from_base(tmp_path: Path) -> None:
    (tmp_path / "mail.csv").write_text("text\nhi\n", encoding="utf-8")
    (found,) = read_rows("mail.csv", base=tmp_path)
    assert found.where == "mail.csv, row 2"
    assert read_rows(tmp_path / "mail.csv", base=Path("/nowhere"))[0].values == found.values


def test_row_numbers_are_lines(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'\n{"text": "one"}\r\n\r\n  \n{"text": "two"}\n\n')
    assert [one.number for one in read_rows("a.jsonl", base=tmp_path)] == [2, 5]
    (tmp_path / "a.csv").write_bytes(b'text,answer\r\n"one\r\nand more",x\r\n\r\ntwo,y\r\n')
    rows = read_rows("a.csv", base=tmp_path)
    assert [one.number for one in rows] == [2, 5]
    assert rows[0].values == {"text": "one\r\nand more", "answer": "x"}


def test_row_numbers_of_parquet_are_positions(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(as_parquet([{"text": "one"}, {"text": "two"}]))
    assert [one.number for one in read_rows("a.parquet", base=tmp_path)] == [1, 2]


def test_values_stay_as_json_has_them(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(
        b'\xef\xbb\xbf{"a": 1, "b": 1.5, "c": true, "d": null, "e": [1], "f": {"g": "h"}}'
    )
    (found,) = read_rows("a.jsonl", base=tmp_path)
    assert found.values == {"a": 1, "b": 1.5, "c": True, "d": None, "e": [1], "f": {"g": "h"}}


def test_repr_shows_no_values() -> None:
    assert repr(row(text=SECRET)) == "Row(file='mail.jsonl', number=7)"


# What cannot be read

GOOD = json.dumps({"text": SECRET, "answer": "spam"}).encode() + b"\n"
HEAD = b"text,answer\n" + SECRET.encode() + b",spam\n"
ZIPPED = gzip.compress(GOOD * 50)
ADVICE = "quote as in RFC 4180 (a quote inside quotes is doubled), or use JSONL"
RAGGED = "but the header names 2; quote fields that hold the delimiter, a line break or a quote"

UNREADABLE = {
    "empty": ("a.jsonl", b"", "a.jsonl: is empty"),
    "empty csv": ("a.csv", b"", "a.csv: is empty"),
    "empty gzip": ("a.jsonl.gz", gzip.compress(b""), "a.jsonl.gz: is empty"),
    "only blank lines": ("a.jsonl", b"\n \r\n\n", "a.jsonl: has no rows"),
    "only blank csv lines": ("a.csv", b"\n\n", "a.csv: has no rows"),
    "only a byte order mark": ("a.csv", b"\xef\xbb\xbf", "a.csv: has no rows"),
    "only a header": ("a.tsv", b"text\tanswer\n", "a.tsv: has no rows"),
    "unknown suffix": (
        "a.json",
        GOOD,
        "a.json: unknown suffix; known ones: .jsonl, .ndjson, .csv, .tsv, .parquet, and each with .gz",
    ),
    "unknown suffix, zipped": (
        "a.txt.gz",
        ZIPPED,
        "a.txt.gz: unknown suffix; known ones: .jsonl, .ndjson, .csv, .tsv, .parquet, and each with .gz",
    ),
    "broken line": (
        "a.jsonl",
        GOOD + b"\n" + GOOD[:20] + b"\n",
        "a.jsonl, row 3: broken JSON at character 10; each line holds one JSON object",
    ),
    "two objects in a line": (
        "a.jsonl",
        GOOD.strip() + b" " + GOOD,
        "a.jsonl, row 1: broken JSON at character 48; each line holds one JSON object",
    ),
    "a list": (
        "a.jsonl",
        GOOD + b'["' + SECRET.encode() + b'"]',
        "a.jsonl, row 2: a list, not a JSON object; each line holds one object of columns and values",
    ),
    "a text": (
        "a.jsonl",
        b'"' + SECRET.encode() + b'"',
        "a.jsonl, row 1: a text, not a JSON object; each line holds one object of columns and values",
    ),
    "null": (
        "a.jsonl",
        b"null",
        "a.jsonl, row 1: null, not a JSON object; each line holds one object of columns and values",
    ),
    "true": (
        "a.jsonl",
        b"true",
        "a.jsonl, row 1: true or false, not a JSON object; each line holds one object of columns and values",
    ),
    "number": (
        "a.jsonl",
        b"12",
        "a.jsonl, row 1: a number, not a JSON object; each line holds one object of columns and values",
    ),
    "same key twice": (
        "a.jsonl",
        GOOD + b'{"text": "Ana", "text": "nine"}',
        "a.jsonl, row 2: a JSON object holds the same key twice",
    ),
    "deep": (
        "a.jsonl",
        b'{"text": ' + b"[" * 200_000,
        "a.jsonl, row 1: a JSON number is too long, or lists and objects are nested too deep",
    ),
    "long number": (
        "a.jsonl",
        b'{"text": ' + b"1" * 5000 + b"}",
        "a.jsonl, row 1: a JSON number is too long, or lists and objects are nested too deep",
    ),
    "latin-1": ("a.jsonl", GOOD + b'{"text": "Ana caf\xe9"}', "a.jsonl, row 2: not UTF-8; save the file as UTF-8"),
    "latin-1 csv": (
        "a.csv",
        b"\xef\xbb\xbf" + HEAD + b"Ana caf\xe9,spam",
        "a.csv, row 3: not UTF-8; save the file as UTF-8",
    ),
    "utf-16": ("a.csv", HEAD.decode().encode("utf-16"), "a.csv, row 1: not UTF-8; save the file as UTF-8"),
    "utf-16 without a mark": (
        "a.csv",
        HEAD.decode().encode("utf-16-le"),
        "a.csv, row 1: holds a NUL byte; save the file as text in UTF-8",
    ),
    "NUL in csv": ("a.csv", HEAD + b"Ana\0,spam", "a.csv, row 3: holds a NUL byte; save the file as text in UTF-8"),
    "NUL in jsonl": (
        "a.jsonl",
        GOOD + b'{"text": "\0"}',
        "a.jsonl, row 2: holds a NUL byte; save the file as text in UTF-8",
    ),
    "too few fields": ("a.csv", HEAD + b"Ana\n", f"a.csv, row 3: 1 fields, {RAGGED}"),
    "too many fields": ("a.csv", HEAD + b"Ana,spam,\n", f"a.csv, row 3: 3 fields, {RAGGED}"),
    "ragged tsv": ("a.tsv", b"text\tanswer\nAna,spam\n", f"a.tsv, row 2: 1 fields, {RAGGED}"),
    "same column twice": (
        "a.csv",
        b"text,answer,text\nAna,spam,Ana\n",
        "a.csv, row 1: columns 1 and 3 have the same name; rename one",
    ),
    "column without a name": (
        "a.csv",
        b"text, ,answer\nAna,,spam\n",
        "a.csv, row 1: column 2 has no name in the header; give it one",
    ),
    "open quote": (
        "a.csv",
        HEAD + b'"Ana,spam\nmore,spam\n',
        f"a.csv, row 3: unexpected end of data; {ADVICE}",
    ),
    "text after a quote": ("a.csv", HEAD + b'"Ana"s,spam\n', f"a.csv, row 3: ',' expected after '\"'; {ADVICE}"),
    "long csv field": (
        "a.csv",
        HEAD + b"Ana" * 50_000 + b",spam\n",
        f"a.csv, row 3: field larger than field limit (131072); {ADVICE}",
    ),
    "cut off gzip": (
        "a.jsonl.gz",
        ZIPPED[:-12],
        "a.jsonl.gz: the gzip data is cut off; copy or download the file again",
    ),
    "no gzip": (
        "a.jsonl.gz",
        GOOD,
        "a.jsonl.gz: not gzip, or broken; name it without .gz, or copy or download it again",
    ),
    "broken gzip": (
        "a.jsonl.gz",
        ZIPPED[:12] + b"\xff" * 20 + ZIPPED[32:],
        "a.jsonl.gz: not gzip, or broken; name it without .gz, or copy or download it again",
    ),
    "wrong checksum": (
        "a.jsonl.gz",
        ZIPPED[:-8] + b"\0\0\0\0" + ZIPPED[-4:],
        "a.jsonl.gz: not gzip, or broken; name it without .gz, or copy or download it again",
    ),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_says_what_is_wrong_with_a_file(tmp_path: Path, case: str) -> None:
    name, content, message = UNREADABLE[case]
    assert refused(tmp_path, name, content) == message


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.tsv", "a.jsonl.gz", "a.csv.gz"])
def test_any_bytes_are_rows_or_a_refusal(name: str) -> None:
    good = HEAD if ".csv" in name else GOOD
    good = gzip.compress(good, mtime=0) if name.endswith(".gz") else good

    @settings(max_examples=100, derandomize=True, database=None, deadline=None)
    @given(st.integers(0, len(good)), st.integers(0, 8), st.binary(max_size=8))
    def check(start: int, length: int, inserted: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / name).write_bytes(good[:start] + inserted + good[start + length :])
            try:
                assert read_rows(name, base=Path(folder))
            except DataError as error:
                told = str(error)
                assert told.startswith(name)  # bytes that still make rows are fine too
                assert "Ana" not in told

    check()


def test_says_what_is_wrong_with_parquet(tmp_path: Path) -> None:
    good = as_parquet([{"text": SECRET}])
    message = "a.parquet: broken Parquet (ArrowInvalid); write the file again"
    assert refused(tmp_path, "a.parquet", b"Ana wrote no Parquet at all") == message
    assert refused(tmp_path, "a.parquet", good[: len(good) // 2]) == message
    assert refused(tmp_path, "a.parquet", as_parquet([{"text": SECRET}])[:-1]) == message
    broken = good[:4] + b"\xff" * 40 + good[44:]
    assert refused(tmp_path, "a.parquet", broken).startswith("a.parquet: broken Parquet (")


def test_parquet_without_rows_and_with_a_column_twice(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra 'hub')")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed (extra 'hub')")
    parquet.write_table(arrow.table({"text": arrow.array([], arrow.string())}), tmp_path / "none.parquet")
    assert refusal(lambda: read_rows("none.parquet", base=tmp_path)) == "none.parquet: has no rows"
    twice = arrow.Table.from_arrays([arrow.array([SECRET]), arrow.array(["spam"])], names=["text", "text"])
    parquet.write_table(twice, tmp_path / "twice.parquet")
    message = "twice.parquet: two columns have the same name; rename one"
    assert refusal(lambda: read_rows("twice.parquet", base=tmp_path)) == message


def test_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pyarrow", "datasets"):
        monkeypatch.setitem(sys.modules, module, None)
    install = "pip install 'social-learning[hub]'"
    assert refused(tmp_path, "a.parquet", b"PAR1") == f"a.parquet: needs pyarrow: {install}"
    assert refusal(lambda: read_rows("hf:org/mail@v1")) == f"hf:org/mail@v1: needs datasets: {install}"
    missing = f"org/mail: no such file, and as a Hugging Face data set: needs datasets: {install}"
    assert refusal(lambda: read_rows("org/mail", base=tmp_path)) == missing


def test_says_which_file_is_missing(tmp_path: Path) -> None:
    looked = f"no such file (looked for {tmp_path / 'mail.jsonl'})"
    assert refusal(lambda: read_rows("mail.jsonl", base=tmp_path)) == f"mail.jsonl: {looked}"
    for name in ("no/mail.jsonl", "no/mail.csv.gz", "a/b/c", "/no/such/file", "x" * 5000, "nul\0.csv"):
        assert refusal(partial(read_rows, name)) == f"{name}: no such file"
    assert refusal(lambda: read_rows(Path("org/mail"))) == "org/mail: no such file"


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    (tmp_path / "org" / "mail").mkdir(parents=True)
    (tmp_path / "mail.csv").mkdir()
    for name in ("org/mail", "mail.csv"):
        assert refusal(partial(read_rows, name, base=tmp_path)) == f"{name}: is a folder; name a file in it"


@pytest.mark.parametrize("name", ["hf:", "hf:mail", "hf:org/mail/more", "hf:org/mail@", "hf:org/my mail", "hf:../mail"])
def test_says_how_an_id_is_written(name: str) -> None:
    message = f"{name}: not a Hugging Face id; write hf:org/name, hf:org/name:config or hf:org/name@revision"
    assert refusal(lambda: read_rows(name)) == message


# Examples


def test_makes_examples_in_order() -> None:
    rows = [row(text=" hi ", answer="SPAM", other=[1]), row(text="one\ntwo", answer="not spam")]
    expected = [
        Example(fields={"text": "hi"}, answer="spam"),
        Example(fields={"text": "one\ntwo"}, answer="not spam"),
    ]
    assert to_examples(rows, TASK) == expected
    assert to_examples([], TASK) == []


def test_maps_columns_and_labels() -> None:
    columns = ColumnMap({"text": "v2", "answer": "v1"}, {"ham": "not spam", "1": "spam", "true": "spam"})
    rows = [row(v1=v1, v2="hi") for v1 in ("ham", " ham ", 1, True, "spam")]
    answers = [example.answer for example in to_examples(rows, TASK, columns)]
    assert answers == ["not spam", "not spam", "spam", "spam", "spam"]


def test_values_become_text() -> None:
    task = Task(name="any", template="{text}: {answer}")
    day = datetime.date(2020, 2, 29)
    texts = {12: "12", 1.5: "1.5", True: "true", False: "false", "0012": "0012", day: "2020-02-29"}
    examples = to_examples([row(text="x", answer=value) for value in texts], task)
    assert [example.answer for example in examples] == list(texts.values())


def test_parquet_values_become_text(tmp_path: Path) -> None:
    task = Task(name="any", template="{text}: {answer}")
    (tmp_path / "a.parquet").write_bytes(as_parquet([{"text": datetime.datetime(2020, 1, 2, 3), "answer": 0.25}]))
    (example,) = to_examples(read_rows("a.parquet", base=tmp_path), task)
    assert example == Example(fields={"text": "2020-01-02 03:00:00"}, answer="0.25")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"text": None, "answer": "spam"}, "field 'text': missing"),
        ({"text": float("nan"), "answer": "spam"}, "field 'text': missing"),
        ({"text": " \n", "answer": "spam"}, "field 'text': empty"),
        ({"text": SECRET, "answer": "eggs"}, "field 'answer': not a known label; known labels: spam, not spam"),
        ({"text": SECRET, "label": "spam"}, "field 'answer': no such column; columns: 'text', 'label'"),
        ({}, "field 'text': no such column; columns: none"),
        ({"text": [SECRET], "answer": "spam"}, "field 'text': a list, not text"),
        ({"text": {"body": SECRET}, "answer": "spam"}, "field 'text': an object, not text"),
        ({"text": SECRET.encode(), "answer": "spam"}, "field 'text': a value of type bytes, not text"),
        ({"text": SECRET + "\0", "answer": "spam"}, "field 'text': holds a NUL character"),
        (
            {"text": SECRET + "\ud83d", "answer": "spam"},
            "field 'text': holds half of a surrogate pair (\\uD800 to \\uDFFF), which is no character",
        ),
    ],
)
def test_says_what_is_wrong_with_a_row(values: dict[str, object], message: str) -> None:
    good = row(text="hi", answer="spam")
    bad = Row("mail.jsonl", 8, values)
    assert refusal(lambda: to_examples([good, bad, bad], TASK)) == f"mail.jsonl, row 8, {message}"


def test_a_value_that_does_not_fit_the_format_is_not_shown() -> None:
    text = refusal(lambda: to_examples([row(text=f"{SECRET}\nText: {SECRET}", answer="spam")], TASK))
    assert text.startswith("mail.jsonl, row 7, field")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"v2": None}, "field 'text' (column 'v2'): missing"),
        ({"v2": " "}, "field 'text' (column 'v2'): empty"),
        ({"v2": [SECRET]}, "field 'text' (column 'v2'): a list, not text"),
        ({"text": SECRET}, "field 'text' (column 'v2'): no such column; columns: 'text', 'answer'"),
    ],
)
def test_errors_name_the_column_too(values: dict[str, object], message: str) -> None:
    columns = ColumnMap({"text": "v2"})
    rows = [row(**values, answer="spam")]
    assert refusal(lambda: to_examples(rows, TASK, columns)) == f"mail.jsonl, row 7, {message}"


def test_nested_parquet_is_refused_where_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(as_parquet([{"text": {"body": SECRET}, "answer": "spam", "parts": [SECRET]}]))
    rows = read_rows("a.parquet", base=tmp_path)
    assert refusal(lambda: to_examples(rows, TASK)) == "a.parquet, row 1, field 'text': an object, not text"
    parts = ColumnMap({"text": "parts"})
    message = "a.parquet, row 1, field 'text' (column 'parts'): a list, not text"
    assert refusal(lambda: to_examples(rows, TASK, parts)) == message


def test_unknown_fields_in_a_map() -> None:
    message = "columns are named for unknown fields 'txt', 'label'; task 'mail' has the fields 'text', 'answer'"
    assert refusal(lambda: to_examples([], TASK, ColumnMap({"txt": "a", "label": "b", "text": "c"}))) == message


def test_a_missing_header_is_not_shown(tmp_path: Path) -> None:
    """Where a file has no header, its first row stands in its place."""
    (tmp_path / "a.csv").write_text(f"spam,{SECRET}\nspam,hi\n", encoding="utf-8")
    rows = read_rows("a.csv", base=tmp_path)
    message = "a.csv, row 2, field 'text': no such column; columns: 'spam', 1 more"
    assert refusal(lambda: to_examples(rows, TASK)) == message
    (tmp_path / "a.csv").write_text(f"{SECRET}\nhi\n", encoding="utf-8")
    rows = read_rows("a.csv", base=tmp_path)
    message = "a.csv, row 2, field 'text': no such column; columns: 1 with long names or names of several words"
    assert refusal(lambda: to_examples(rows, TASK)) == message


def test_only_some_of_many_columns_are_listed() -> None:
    wide = row(**{f"c{number}": "x" for number in range(300)})
    assert refusal(lambda: to_examples([wide], TASK)).endswith("'c19', 280 more")


def test_drops_duplicates() -> None:
    texts = ["Hello  you", "hello\nYOU", "Straße", "STRASSE", "other"]
    answers = ["spam", "not spam", "spam", "spam", "spam"]
    rows = [row(text=text, answer=answer) for text, answer in zip(texts, answers, strict=True)]
    kept = drop_duplicates(to_examples(rows, TASK), TASK)
    assert [example.fields["text"] for example in kept] == ["Hello  you", "Straße", "other"]
    assert kept[0].answer == "spam"
    assert drop_duplicates(iter(()), TASK) == []


def test_questions_are_the_same_whatever_the_form_of_their_accents() -> None:
    rows = [row(text=unicodedata.normalize(form, "Été à Zürich"), answer="spam") for form in FORMS]
    assert len(drop_duplicates(to_examples(rows, TASK), TASK)) == 1


def test_questions_with_different_answers_are_counted_once_each() -> None:
    pairs = [("a", "spam"), ("A", "not spam"), ("a ", "spam"), ("b", "spam"), ("B", "SPAM"), ("c", "spam")]
    assert conflicting(to_examples([row(text=text, answer=answer) for text, answer in pairs], TASK), TASK) == 1
    sums = Task(name="sums", template="{text} = {answer}", metric="number")
    rows = [row(text=text, answer=answer) for text, answer in (("1/2", "0.5"), ("1/2", "½"), ("2", "2"), ("2", "-2"))]
    assert conflicting(to_examples(rows, sums), sums) == 1


@pytest.mark.parametrize("answer", ["\u2212 5,5.", "- 5", "1,5", "3-4", "five"])
def test_a_number_that_can_be_read_in_two_ways_refuses_the_row(answer: str) -> None:
    task = Task(name="sums", template="{text} = {answer}", metric="number")
    message = refusal(lambda: to_examples([row(text="what", answer=answer)], task))
    assert message == (
        "mail.jsonl, row 7, field 'answer': holds no number that can be read in one way only: write it like 1234.5, -5, 1e5 or 3/4, "
        "or set the task's decimal to 'comma'"
    )


def test_a_decimal_comma_is_for_text_and_numbers_keep_their_value() -> None:
    task = Task(name="sums", template="{text} = {answer}", metric="number", decimal="comma")
    values: list[object] = ["1.234,5", "1,234", 1.234, Decimal("1234.5"), 1234, 2.5e-7]
    examples = to_examples([row(text="what", answer=value) for value in values], task)
    right = ["1234.5", "1.234", "1.234", "1234.5", "1234", "0.00000025"]
    assert all(task.correct(answer, example) for answer, example in zip(right, examples, strict=True))
    with pytest.raises(TaskError, match="only a task with metric 'number' has a decimal mark"):
        TASK.variant(decimal="comma")


def test_values_of_labels_are_found_by_accents_in_either_form_and_by_case_where_one_is_meant() -> None:
    columns = ColumnMap(label_names={"gelé": "spam", "F": "spam", "f": "not spam"})
    values = (unicodedata.normalize("NFD", "Gelé"), "F", "f")
    rows = [row(text="hi", answer=value) for value in values]
    assert [example.answer for example in to_examples(rows, TASK, columns)] == ["spam", "spam", "not spam"]
    with pytest.raises(DataError, match=r"label_names: .* stands there twice"):
        ColumnMap(label_names={"gelé": "spam", unicodedata.normalize("NFD", "gelé"): "not spam"})
