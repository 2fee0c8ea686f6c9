"""The paper's own figures on accuracy, to stand beside ours: Tables 1, 2, 10 and 12 of arXiv 2312.11441 (PaLM 2-S), the
first two with the standard errors of its Tables 8 and 9. Its figures on privacy are in `privacy/paper.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

TASKS = ("lambada", "boolq", "gsm8k", "sms_spam", "sms_spam_classes", "random_insertion")
"""The paper's tasks, in the order of its columns."""

AUDITED = ("lambada", "gsm8k")
"""The tasks of its Tables 3 and 4."""

SHOTS = (1, 2, 4, 8, 16)

MODEL, SMALL_MODEL = "PaLM 2-S", "PaLM 2-XS"


@dataclass(frozen=True, slots=True)
class PaperFigure:
    """One figure: accuracy in percent, its standard error where the paper gives one, and whether it has a star."""

    value: float
    stderr: float | None = None
    significant: bool = False


_FIGURE = re.compile(r"([\d.]+)(?:\(([\d.]+)\))?(\*?)")

Row = dict[str, PaperFigure]


def _row(text: str) -> Row:
    """One row of a table: a figure for each task, as in `86.68(.48) 70.46(7.19)*`."""
    figures = [
        PaperFigure(float(match[1]), float(match[2]) if match[2] else None, bool(match[3]))
        for part in text.split()
        if (match := _FIGURE.fullmatch(part))
    ]
    return dict(zip(TASKS, figures, strict=True))


def _rows(name: str, text: str) -> dict[tuple[str, int], Row]:
    """The rows of one name at each number of shots."""
    return {(name, shots): _row(line) for shots, line in zip(SHOTS, text.strip().splitlines(), strict=True)}


_TABLE_1 = {
    ("zero-shot", 0): _row("69.8 68.1 0.0 14.19 92.7 22.0"),
    ("zero-shot, format note", 0): {"gsm8k": PaperFigure(16.38)},
    **_rows(
        "original",
        """
        86.68(.48) 89.84(.10) 63.59(.25) 59.10(7.62) 94.25(.27) 55.56(3.12)
        87.30(.44) 90.12(.03) 64.20(.28) 77.15(9.96) 94.87(.25) 70.04(3.19)
        87.56(.63) 90.44(.07) 63.59(.27) 86.75(8.28) 95.43(.53) 69.74(2.55)
        88.36(.54) 90.53(.07) 64.05(.23) 96.02(.27) 96.75(.11) 74.50(1.15)
        88.40(.67) 90.42(.08) 63.55(.28) 96.48(.17) 97.02(.07) 73.52(1.11)
        """,
    ),
    **_rows(
        "generated",
        """
        86.65(.44) 70.46(7.19)* 63.87(.76) 90.22(.57)* 92.55(.40)* 53.58(7.89)*
        86.70(.41) 88.63(.77)* 63.23(.60) 88.17(.74)* 92.15(.63)* 65.94(1.75)*
        87.98(.43) 85.54(3.87)* 63.58(.48) 87.77(.75) 90.19(.81)* 69.72(2.42)
        88.05(.27) 88.73(.88)* 63.38(.47) 86.45(.88)* 91.51(.97)* 69.22(3.42)*
        89.04(.23) 89.94(.08) 63.71(.35) 87.98(1.18)* 91.08(1.57)* 72.36(1.01)
        """,
    ),
}
_TABLE_2 = {
    ("zero-shot", 0): _TABLE_1["zero-shot", 0],
    ("manual", 0): _row("77.45 90.18 15.62 93.95 94.22 34.9"),
    ("GPT-3.5 instruction", 0): _row("82.81(1.87) 90.12(.07) 4.11(2.27) 85.38(8.70) 95.38(.37) 59.22(4.76)"),
    ("instruction", 0): _row("85.12(.91) 88.74(1.36) 0.00 92.90(.04) 93.44(.39) 40.38(9.88)"),
}
_TABLE_10 = {
    **{key: row for key, row in _TABLE_1.items() if key[0] == "original"},
    **_rows(
        "generated",
        """
        86.72 72.17 57.21 75.94 92.42 50.92
        87.84 89.75 63.55 59.73 87.88 66.10
        88.05 82.82 63.85 94.09 93.87 51.46
        89.12 90.18 62.64 94.62 96.13 63.26
        89.18 89.08 63.75 94.62 93.95 61.76
        """,
    ),
    ("small model alone", 8): _row("86.20 81.90 18.61 95.73 96.45 31.44"),
}
_TABLE_12 = {
    **{key: row for key, row in _TABLE_1.items() if key[0] == "generated"},
    **_rows(
        "voted",
        """
        86.50 86.63 60.52 87.31 93.15 56.56
        87.87 85.80 64.75 83.74 88.06 67.84
        88.18 89.76 64.82 84.11 91.05 72.90
        88.22 89.53 64.03 84.78 89.52 71.36
        88.76 89.65 63.53 87.85 89.44 72.82
        """,
    ),
}

ACCURACY: Mapping[str, Mapping[tuple[str, int], Row]] = {
    "table1": _TABLE_1,
    "table2": _TABLE_2,
    "table10": _TABLE_10,
    "table12": _TABLE_12,
}
"""Accuracy by table, by row and number of shots, by task."""
