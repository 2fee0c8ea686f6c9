"""Numbers as people write them: each notation against an oracle that writes it, and what is refused."""

from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from social_learning.numerals import DecimalMark, read_number, same_number

MINUSES = ("-", "\u2212", "\u2010", "\u2011", "\u2012", "\u2013", "\ufe63", "\uff0d", "\u2212 ", "minus ")
SEPARATORS = {
    "point": (",", " ", "\u00a0", "\u2009", "\u202f", "'", "’", "_"),
    "comma": (".", " ", "\u00a0", "\u202f", "'"),
}
SCRIPTS = ("0123456789", "٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９", "०१२३४५६७८९")
MARKS: dict[DecimalMark, str] = {"point": ".", "comma": ","}

marks: st.SearchStrategy[DecimalMark] = st.sampled_from(["point", "comma"])
minus = st.sampled_from(["", *MINUSES])
around = st.sampled_from(
    [("", ""), ("so ", "."), ("$", ""), ("", " kg"), ("(", ")"), ("= ", "%"), ("**", "**"), ("€ ", ",")]
)


def grouped(number: int, separator: str) -> str:
    return f"{number:,}".replace(",", separator)


def value_of(text: str, decimal: DecimalMark = "point") -> Fraction | None:
    read = read_number(text, decimal)
    return None if read is None else Fraction(read)


def sign_of(minus: str) -> int:
    return -1 if minus else 1


@given(marks, minus, around, st.integers(0, 10**12), st.text("0123456789", max_size=4), st.data())
def test_decimals_are_read_in_every_notation(
    decimal: DecimalMark, minus: str, around: tuple[str, str], whole: int, places: str, data: st.DataObject
) -> None:
    separator = data.draw(st.sampled_from(["", *SEPARATORS[decimal]]))
    script = str.maketrans("0123456789", data.draw(st.sampled_from(SCRIPTS)))
    written = (grouped(whole, separator) + (MARKS[decimal] + places if places else "")).translate(script)
    before, after = around
    # A dash behind a word is a hyphen, and a number can only be told from a comma by its blank.
    text = f"{before}{minus}{written}{after}" if before != "so " or minus != "-" else f"so {minus}{written}{after}"
    expected = sign_of(minus) * (whole + Fraction(int(places or "0"), 10 ** len(places)))
    assert value_of(text, decimal) == expected


@given(minus, st.integers(0, 99), st.integers(0, 99), st.integers(1, 99), st.sampled_from("/\u2044\u2215"))
def test_fractions_and_mixed_numbers_are_exact(minus: str, whole: int, over: int, under: int, slash: str) -> None:
    assert value_of(f"{minus}{over}{slash}{under}") == sign_of(minus) * Fraction(over, under)
    mixed = value_of(f"{minus}{whole} {over}{slash}{under}")
    assert mixed == (sign_of(minus) * (whole + Fraction(over, under)) if 0 < over < under else None)


@given(minus, st.integers(0, 999), st.sampled_from("½¼¾⅓⅔⅛"), st.sampled_from(["", " ", "\u2009"]))
def test_signs_of_fractions_are_read(minus: str, whole: int, part: str, blank: str) -> None:
    parts = dict(zip("½¼¾⅓⅔⅛", ("1/2", "1/4", "3/4", "1/3", "2/3", "1/8"), strict=True))
    assert value_of(f"{minus}{part}") == sign_of(minus) * Fraction(parts[part])
    assert value_of(f"{minus}{whole}{blank}{part}") == sign_of(minus) * (whole + Fraction(parts[part]))


@given(minus, st.decimals(0, 10**6, places=3), st.integers(-300, 300), st.sampled_from("eE"))
def test_exponents_are_read(minus: str, number: object, exponent: int, mark: str) -> None:
    assert value_of(f"{minus}{number}{mark}{exponent}") == sign_of(minus) * Fraction(f"{number}e{exponent}")


@given(
    st.sampled_from(
        ["-", "\u2212", "\u2013", "\u2014", "- ", "\u2014 ", "--", "-(", "-**", "\u2212$", "-US$", "-EUR ", "±"]
    ),
    st.integers(1, 999),
)
def test_a_number_is_never_right_for_its_negative(lead: str, number: int) -> None:
    for text in (f"{lead}{number}", f"so {lead}{number}", f"so, {lead}{number}.", f"x{lead}{number}"):
        read = value_of(text)
        assert read is None or read == -number


@given(st.text("0123456789.,'’_ /-−eE×^½²:\u00a0", min_size=1, max_size=12), marks)
@example("1 00", "point")
@example("1.5.2", "point")
@example("9" * 400, "point")
def test_what_is_read_is_never_the_part_of_a_number(text: str, decimal: DecimalMark) -> None:
    """Whoever reads a number has read all digits that stand together with it."""
    read = read_number(text, decimal)
    if read is None:
        return
    assert same_number(read, read)
    run = text.strip().split(" ")[0]
    assume(run and run == text.strip() and run.strip("0123456789.,") == "" and run[-1].isdigit() and run[0].isdigit())
    digits = [sign for sign in run if sign.isdigit()]
    assert [sign for sign in read if sign.isdigit()] == digits


@pytest.mark.parametrize(
    "text",
    [
        "- 5", "\u2014 5", "\u20145", "±5", "x-5", "--5", "-\n5",  # a minus, a bullet, a hyphen?
        "1,5", "1,2345", "1,23,4", "1.234,5", "1.2.3", "1.234.567", "1000 000", "0 500", "1 000,5",  # groups of another kind
        "3-5", "3\u20135", "2020-01-05", "12:30", "5-",  # ranges, dates, times
        "3/0", "3/4/5", "1 5/3", "1 250/300", "1,000/3", "$5/$10",  # fractions of what is none
        "1e1000", "0x1F", "5²", "3×10⁵", "3 × 10^5", "2**3", "0.(3)",  # powers and periods
        "none", "",
    ],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_is_not_read(text: str) -> None:
    assert read_number(text) is None


@pytest.mark.parametrize(
    ("text", "point", "comma"),
    [
        ("1,234", "1234", "1.234"),
        ("1.234", "1.234", "1234"),
        ("1,5", None, "1.5"),
        ("1.5", "1.5", None),
        ("1.234,5", None, "1234.5"),
        ("1,234.5", "1234.5", None),
        (".5", "0.5", None),
        (",5", None, "0.5"),
        ("1,00,000", "100000", None),
        ("12%", "12", "12"),
        ("7.", "7", "7"),
        ("about 1,200 or 3", "1200", "1.200"),
        ("5 - 3", "5", "5"),
        ("\u0661\u066c\u0662\u0663\u0664\u066b\u0665", "1234.5", "1234.5"),
    ],
)
def test_the_decimal_mark_is_the_tasks(text: str, point: str | None, comma: str | None) -> None:
    assert (read_number(text), read_number(text, "comma")) == (point, comma)


def test_equal_is_equal_in_value_and_never_for_what_is_no_number() -> None:
    assert same_number("3/4", "0.75")
    assert same_number("1e5", "100000")
    assert not same_number("0.333", "1/3")
    assert not same_number("none", "none")
    assert not same_number("1/0", "1/0")
