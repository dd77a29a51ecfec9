"""The one cleaner for text from outside: what it lets through can be stored and shown anywhere."""

import time
import unicodedata

import pytest

from core import cleaner

LIMIT = 300
HOSTILE: dict[str, str | bytes] = {
    "nul": "refused\0by the machine",
    "nul in bytes": b"refused\0by the machine",
    "half of a pair": "refused \ud83d by the machine",
    "a pair in bytes": "refused \ud83d".encode("utf-8", "surrogatepass"),
    "no UTF-8": b"refused \xff\xfe\xc3 by",
    "terminal": "\x1b]0;owned\x07\x1b[2J\x9b31mred",
    "lines": "first\r\nsecond\rthird\u2028fourth\u2029fifth\vsixth\x85seventh",
    "turned around": "abc\u202edcba\u202c\u2066x\u2069",
    "unseen": "zero\u200bwidth\ufeffmark\u2060\U000e0041",
    "noncharacters": "\ufffe\uffff\U0010ffff\ue000",
    "a megabyte": "x" * 2**20,
    "a megabyte of NUL": b"\0" * 2**20,
    "a megabyte of blanks": " " * 2**20 + "end",
    "a megabyte of pairs": "\ud83d" * 2**20,
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_a_line_can_be_shown_anywhere(hostile: str | bytes) -> None:
    said = cleaner.line(hostile, LIMIT)

    assert len(said) <= LIMIT
    assert said.isprintable()
    said.encode("utf-8")


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_text_keeps_only_newline_and_tab(hostile: str | bytes) -> None:
    said = cleaner.text(hostile, LIMIT)

    assert len(said) <= LIMIT
    assert said.replace("\n", "").replace("\t", "").isprintable()
    said.encode("utf-8")


@pytest.mark.parametrize(
    "harmless", ["", "No answer.", "63\u00a0% of 1\u2009000", "naïve “日本語” 🙂", "مرحبا", "a ü"]
)
def test_what_people_read_stays(harmless: str) -> None:
    assert cleaner.line(harmless, LIMIT) == harmless
    assert cleaner.text(harmless, LIMIT) == harmless
    assert cleaner.line(harmless.encode(), LIMIT) == harmless


def test_lines_stay_lines_in_a_text() -> None:
    assert cleaner.text("a\r\nb\rc\n\td  e", LIMIT) == "a\nb\nc\n\td  e"
    assert cleaner.line("a\r\nb\rc\n\td  e", LIMIT) == "a  b c  d  e"
    assert cleaner.words("\0 a\r\nb\rc\n\td  e \0", LIMIT) == "a b c d e"


def test_a_cut_breaks_no_character() -> None:
    assert cleaner.line(("x" + "é" * 100).encode(), 2) == "xé"
    assert "\ufffd" not in cleaner.text("日本".encode() * 100, 5)


def test_cost_follows_the_limit_not_the_text() -> None:
    """A hundred texts of 10 MB cost what a hundred short ones do: nothing that can be felt."""
    long = "\0 \ud83d" * 3_500_000
    began = time.process_time()
    for _ in range(100):
        cleaner.line(long, LIMIT)
    assert time.process_time() - began < 1.0


def test_every_character_of_unicode_is_shown_or_a_blank() -> None:
    everything = "".join(map(chr, range(0x110000)))
    unseen = {c for c in cleaner.text(everything, len(everything)) if not c.isprintable()}

    assert {unicodedata.category(c) for c in unseen - {"\n", "\t"}} == {"Zs"}
