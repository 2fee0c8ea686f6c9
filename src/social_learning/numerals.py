"""Numerals: a number as people write it, read by its exact value or not at all.

A number that is read in part is a wrong number: "5" of "-5", "1" of "1 000", "3" of "3/4". So what stands around the digits is
looked at too, and where it leaves a doubt the text holds no number.
"""

import re
import unicodedata
from fractions import Fraction
from typing import Literal

DecimalMark = Literal["point", "comma"]

LONGEST = 300
"""Characters of a number that is read; exponents have at most three digits. Nobody writes longer ones by hand."""

_MINUS = "-\u2212\u2010\u2011\u2012\u2013\ufe63\uff0d\u02d7\u2796"
"""What is a minus where it stands right before a number: hyphens, minus signs, the figure dash and the en dash."""

_DASH = _MINUS + "\u2014\u2015\u2043\ufe58\u301c±"
"""Those, and what may be meant for one."""

_CURRENCY = "$¢£¤¥\u058f\u060b\u09f3\u0e3f\u20a0-\u20c0\ufe69\uff04\uffe0\uffe1\uffe5\uffe6"
_JOINING = "\u00a0\u2007\u2009\u202f"
_BLANKS = f" {_JOINING}"
"""Blanks that separate thousands: the space, the no-break ones, the figure space and the thin one."""

_SLASH = "/\u2044\u2215"
_VULGAR = "¼-¾⅐-⅞↉"
_RAISED = "⁰¹²³⁴-⁹⁺⁻₀-₉"
_MARKS = {"point": ".\u066b", "comma": ",\u066b"}
_SEPARATORS = {"point": f",\u066c'’_{_BLANKS}", "comma": f".\u066c'’_{_BLANKS}"}

_LEADING = "(?![0\u0660\u06f0\u0966\uff10])\\d"
_START = re.compile(rf"\d|[{_VULGAR}]")
_WORDS = re.compile(r"\b(?:minus|negative)[^\S\n]+\Z", re.IGNORECASE)
_LEAD = re.compile(
    rf"(?P<sign>[{_DASH}+]?)(?P<gap>\s*)[*_`(\[{{]*(?P<unit>(?:[A-Z]{{0,3}}[{_CURRENCY}]|[A-Z]{{3}}(?=\s))[^\S\n]*)?\Z"
)


def _body(mark: str, separators: str) -> re.Pattern[str]:
    """The number itself, without its sign: mixed, a fraction, or decimal digits with perhaps an exponent."""
    groups = rf"{_LEADING}\d{{0,2}}(?P<sep>[{separators}])\d{{3}}(?:(?P=sep)\d{{3}})*(?!\d)"
    lakhs = rf"{_LEADING}\d?(?:,\d\d)+,\d{{3}}(?!\d)|" if "," in separators else ""
    return re.compile(
        rf"(?P<whole>\d+)[{_BLANKS}]?(?P<part>[{_VULGAR}])|(?P<vulgar>[{_VULGAR}])"
        rf"|(?P<mixed>\d+)[{_BLANKS}](?P<over>{_LEADING}\d*)[{_SLASH}](?P<under>\d+)"
        rf"|(?P<above>\d+)[^\S\n]?[{_SLASH}][^\S\n]?(?P<below>\d+)"
        rf"|(?P<digits>{lakhs}{groups}|\d+)?(?:[{mark}](?P<decimals>\d+))?"
        rf"(?:[eE](?P<sign>[{_MINUS}+]?)(?P<exponent>\d{{1,3}})(?!\d))?"
    )


_BODIES = {mark: _body(_MARKS[mark], _SEPARATORS[mark]) for mark in ("point", "comma")}

_GOES_ON = re.compile(
    rf"\d|[.,:;\u066b\u066c]+\(?\d|['’_{_JOINING}]\d| \d{{3}}(?!\d)|[{_BLANKS}]\d+[{_SLASH}]\d"  # groups and marks that do not fit
    rf"|[{_DASH}](?:\d|\s|\Z)"  # a range, a date, a minus behind
    rf"|[^\S\n]?[{_SLASH}][^\S\n]?[{_CURRENCY}]?\d"  # a fraction of what is none
    rf"|[eE][{_MINUS}+]?\d|[xX][0-9A-Fa-f]|[×*·^][^\S\n]?\d|\*\*[^\S\n]?\d|[{_VULGAR}{_RAISED}]"  # powers, products
    rf"|[^\S\n]?[xX×*·][^\S\n]?10[^\S\n]?(?:\^|\*\*|[{_RAISED}])"
)
"""What shows that a number is not over where the reading of it ended."""


def read_number(text: str, decimal: DecimalMark = "point") -> str | None:
    """Return the first number of a text, in a form that `Fraction` reads; None where there is none, or it can be read in two ways.

    Read are a sign right before the number (a minus in any of its forms; U+2212 also with a blank, and the words minus and
    negative), decimal digits of any script, thousands in groups of three (comma, blank, no-break or thin space, apostrophe,
    underscore; in lakhs by commas), exponents (`1e5`), fractions (`3/4`, `½`) and mixed numbers (`1 3/4`). `decimal`
    "comma" swaps the roles of point and comma. Units, currencies, a percent sign, brackets and a full stop behind do not count.
    """
    first = _START.search(text)
    if first is None:
        return None
    start = first.start()
    if start and text[start - 1] in f".,{_MARKS[decimal]}":
        start -= 1
        opens = not text[:start] or not (text[start - 1].isalnum() or text[start - 1] in ".,")
        if text[start] not in _MARKS[decimal]:
            # Punctuation before a number, or a number whose first digits are missing.
            if opens:
                return None
            start += 1
        elif not opens:
            return None
    negative = _negative(text[:start])
    body = _BODIES[decimal].match(text, start)
    if negative is None or body is None or body.end() - start > LONGEST or _GOES_ON.match(text, body.end()):
        return None
    value = _value(body)
    return None if value is None else f"-{value}" if negative else value


def same_number(left: str, right: str) -> bool:
    """Whether two numbers in the form that `read_number` returns are equal."""
    try:
        return Fraction(left) == Fraction(right)
    except (ValueError, ZeroDivisionError):
        return False


def _negative(head: str) -> bool | None:
    """Whether what stands before a number makes it negative; None where that cannot be told."""
    lead = _LEAD.search(head)
    if lead is None:
        return None
    before, sign = head[: lead.start()], lead["sign"]
    if not sign or sign == "+":
        return bool(_WORDS.search(head[: lead.start()] + lead["gap"]))
    spaced = bool(lead["gap"]) and (sign != "\u2212" or "\n" in lead["gap"])
    after_word = before[-1:].isalnum() or before[-1:] in tuple(f"{_DASH}+)]")
    return None if sign not in _MINUS or spaced or after_word else True


def _value(body: re.Match[str]) -> str | None:
    """The value of a match of a body, without sign; None where it has none, or could be another."""
    found = {name: text for name, text in body.groupdict().items() if text is not None}
    if "part" in found or "vulgar" in found:
        part = Fraction(unicodedata.normalize("NFKC", found.get("part") or found["vulgar"]).replace("\u2044", "/"))
        return str(int(found.get("whole", "0")) + part)
    if "mixed" in found:
        over, under = int(found["over"]), int(found["under"])
        # 1 250/300 may be a number of thousands above the line.
        thousands = len(found["over"]) == 3 and len(found["mixed"]) <= 3
        return str(int(found["mixed"]) + Fraction(over, under)) if over < under and not thousands else None
    if "above" in found:
        below = int(found["below"])
        return f"{int(found['above'])}/{below}" if below else None
    digits = "".join(_ascii(sign) for sign in found.get("digits", "0") if sign.isdecimal())
    decimals = "." + "".join(map(_ascii, found["decimals"])) if "decimals" in found else ""
    if "exponent" not in found:
        return digits + decimals
    sign = "-" if found["sign"] and found["sign"] != "+" else ""
    return f"{digits}{decimals}e{sign}{int(found['exponent'])}"


def _ascii(digit: str) -> str:
    return str(unicodedata.decimal(digit))
