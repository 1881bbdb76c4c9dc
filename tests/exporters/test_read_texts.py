"""What each format reads in a text is what nnreg reads, of random and of adversarial texts."""

import dataclasses
import functools
import random
import re

import numpy as np
import pytest

from nnreg.builtin.encoders.dates import Date
from nnreg.builtin.encoders.hashing import Hashed
from nnreg.builtin.encoders.labels import Labels
from nnreg.builtin.encoders.text import BagOfWords
from nnreg.builtin.encoders.tokens import Tokens
from nnreg.exporters.record_inputs import RecordedColumn
from nnreg.interfaces.encoder import RawColumn
from nnreg.operations.functions import lookup
from nnreg.operations.operation import Operation
from nnreg.operations.program import Program, ProgramInput, ProgramOutput
from nnreg.operations.recorded import Recorded
from tests.exporters.formats import EXPORTERS, answers, require

WORDS = [
    "the", "The", "THE", "cat", "x", "42", "a_b", "Käse", "KÄSE", "ПРИВЕТ", "привет", "ΣΟΦΟΣ",
    "σοφος", "σοφοσ", "ΣΑΣ.", "Σ", "ΑΣ", "ΑΣʹΑ", "Α\u0301Σ", "İstanbul", "i̇stanbul", "ISTANBUL",
    "ß", "ẞ", "ǅ", "K", "Å", "日本語", "ﬁ", "١٢", "²", "½", "Ⅷ", "e\u0301", "\u200d", "😀", "👩‍🔬",
    "can't", "don't—stop", "...", "¿qué?", "\u00a0", "\u2003", "\u1680", "\x1c", "\x85", "\ufeff",
    "\U00010400", "\U0001e900", "\U000e0041", "w" * 300, "é" * 90, "Q" * 41 + "!", "1e5", "1_000",
]  # fmt: skip
SPACES = [" ", "  ", "\t", "\n", "\u00a0", "", "-", ", ", " " * 45]
CODES = [
    "", " ", "1", "1.0", "01", "007", "-0", "-0.0", "+5", " 7 ", "1e3", "1E-5", "1e-05", "0.0001",
    "0.00012345", "123456.5", "1e22", "1e308", "1e309", "-1.5e-300", "5e-324", "2.5", "2.50", ".5",
    "5.", ".", "e5", "1e", "1e+", "+-1", "1 2", "1_0", "inf", "nan", "NaN", "True", "true", "٣٤",
    "1٣", "0٣", "٠١", "9007199254740993", "9" * 299, "9" * 300, "-" + "0" * 20, "0.1", "1/3", "-",
    "9" * 300 + ".0", "123456789012345678", "1234567890123456.5", "0x10", "１２", "\u00a012\u2003",
    "1e16", "12345678901234567.0", "0.30000000000000004", "𝟏𝟐", "abc", "日本", "x" * 1000,
]  # fmt: skip
LABELS = [
    "a", "a;b", "a; b ;;c", " a ", "", ";", "[]", '["a", "b"]', '["a","a", "zz"]', "[1, 2]",
    "[1.0]", "[true, false, null]", '["None"]', '[" a "]', "[", "[a]", '["a"', '["a"] x', '["a",]',
    "[-0]", "[01]", "[-5]", '["\\u0061"]', '["\\ud83d\\ude00"]', '["a\\"b"]', '["a\\x"]', "[[1]]",
    "[{}]", ' ["a"]', "[ ]", "[  1  ]", "\u00a0a\u2003;b", "a\t;\nb", '["a' + " " * 99 + '"]',
    '["a' + " " * 99 + 'b"]', "x" * 99, "x" * 99 + ";a", "True", "[1e2]", "[1.5]", '["\n"]', "1",
    '["a", 2, true]', "ü", "Ü;ü", '["é"]', "[NaN]", "[12345678901234567890]", "b;" * 50,
]  # fmt: skip
FLOATS = {"[1.0]", "[1e2]", "[1.5]"}
DATES = [
    "2024-07-31", "2024-07", "2024", "2024/7/1", "2024.07.31", "2024-07/31", "2024-02-29",
    "2023-02-29", "1900-02-29", "2000-02-29", "0001-01-01", "9999-12-31", "2024-13-01", "soon",
    "2024-00-01", "2024-01-00", "2024-01-32", "2024-07-31 10:30", "2024-07-31T10:30:05.25", "",
    "2024-07-31T10:30:05,1234567", "2024-07-31T10:60", "2024-07-31x", " 2024",
    "2024-07-31T1:30", "2024-07-31T10:3", "1969-12-31T23:59:59", "2020-12-31", "2021-01-03",
    "2015-12-28", "2016-01-03", "2024-07-31 10:30Z", "2024-07-31T10:30+05:30",
    "2024-12-31T23:30-0130", "2024-07-31T10:30 +02", "2024-07-31T10:30 UTC", "2024-07-31T10:30GMT",
    "2024-01-01T00:10+01:00", "31.12.2023", "1.2.2023", "31.13.2023", "10:30", "T9:05",
    "23:59:59.5", "24:00", "2024-07-31T10:30:61", "12.12.20234",
    "01.01.1970", "31122023", "3112023x", "2024-07-31T08", "2024-07-31 8Z", "2024-07-31T083+02",
    "2024-07-31T10:30+25:00", "2024-07-31T10:30-0175", "2024-07-31T10:30+01:30:30", "٢٠٢٤-٠٧-٣١",
]  # fmt: skip

PREDICT_ALONE = re.compile(
    r"\d{4}(\d{4}|-?\d{3}|-?W\d\d(-?\d)?|-?Q\d)([T ].*)?|[^T ]*[T ](24|\d{4}|\d{6}\D|\d{6}$).*"
)
"""Days without separators, of the year, weeks and quarters; times without separators, and 24:00."""


def texts(seed, count=300):
    """Return random texts of words of all scripts."""
    rng = random.Random(seed)
    found = [*WORDS, ""]
    for _ in range(count):
        parts = [rng.choice(WORDS) + rng.choice(SPACES) for _ in range(rng.randrange(12))]
        found.append("".join(parts))
    alphabet = [
        chr(rng.choice((rng.randrange(1, 128), rng.randrange(1, 0x3000)))) for _ in range(80)
    ]
    found += ["".join(rng.choices(alphabet, k=rng.randrange(60))) for _ in range(count)]
    return found


def near_dates(seed, count=400):
    """Return dates with some characters changed, without those that `predict` alone reads."""
    rng, found = random.Random(seed), []
    while len(found) < count:
        text = list(rng.choice([*DATES, "2024-07-31T10:30:05.25+01:00", "2024-07-31 10:30:05Z"]))
        for _ in range(rng.randrange(4)):
            at = rng.randrange(len(text) + 1)
            text[at : at + rng.randrange(2)] = rng.choice(["", *"0123456789-:+.,TZ Wz"])
        if not PREDICT_ALONE.fullmatch("".join(text)):
            found.append("".join(text))
    return found


def learned(encoder, given):
    known = [one for one in given if one is not None]
    return encoder.learn(RawColumn.of(known, "text"))


def parts_of(**options):
    kind = {"zoned": options.pop("zoned", False), "of_day": options.pop("of_day", False)}
    return dataclasses.replace(Date(**options), **kind)


NUMBERS = np.random.default_rng(0).normal(size=500) * 10.0 ** np.arange(-250, 250)
GREEK = [*texts(1), *(["σοφος ΣΟΦΟΣ σας"] * 9)]
ENGLISH = ["the Cat sat on THE mat_1", "a cat can't sit", "Käse und KÄSE"] * 4
CASES = {
    "words": (learned(BagOfWords(), ENGLISH), texts(2)),
    "words of all scripts": (learned(BagOfWords(), GREEK), texts(3)),
    "pairs of words": (
        learned(BagOfWords(ngrams=(1, 3), stop_words=("the", "cat")), GREEK), texts(4),
    ),
    "words with capitals": (learned(BagOfWords(lowercase=False), GREEK), texts(5)),
    "tokens": (learned(Tokens(vocabulary=40, length=400), GREEK), texts(6)),
    "few tokens": (learned(Tokens(vocabulary=40, length=7, lowercase=False), GREEK), texts(7)),
    "characters": (learned(Tokens("characters", 60, length=300), GREEK), texts(8)),
    "byte pairs": (learned(Tokens("byte_pairs", 330, length=600), GREEK), texts(9)),
    "byte pairs with capitals": (
        learned(Tokens("byte_pairs", 290, length=9, lowercase=False), ENGLISH), texts(10),
    ),
    "bytes": (Tokens("byte_pairs", 256, length=20), texts(11)),
    "hash": (Hashed(1000), [*CODES, None, *texts(12)]),
    "powers of two": (Hashed(2**31 - 1, seed=2**32 - 1), [repr(2.0**n) for n in range(-1074, 9)]),
    "numbers": (Hashed(2**31 - 1, seed=7), [*map(repr, NUMBERS.tolist())]),
    "labels": (learned(Labels(), ["a;b;c", "True;1;2;ü", "a b;😀"]), [*LABELS, None]),
    "labels with a long separator": (
        learned(Labels(separator=" | "), ["a | b", "ü | 1"]),
        ["a | b", "a|b", " | ", "a |  | b | x", *LABELS],
    ),
    "dates": (parts_of(), [*DATES, None]),
    "zoned dates": (parts_of(zoned=True), [*DATES, None]),
    "German dates": (parts_of(format="%d.%m.%Y"), DATES),
    "Japanese dates": (
        parts_of(format="%Y年%m月%d日"), ["2024年07月31日", "2024年7月1日", "2024年7月1", *DATES],
    ),
    "dates of digits": (parts_of(format="%d%m%Y"), DATES),
    "near dates": (parts_of(), near_dates(13)),
    "near zoned dates": (parts_of(zoned=True), near_dates(14)),
    "times": (parts_of(of_day=True), DATES),
    "times by a format": (parts_of(format="%H:%M", of_day=True), DATES),
}  # fmt: skip


class Found(Exception):  # noqa: N818 (it is not an error)
    """What an encoder found in texts."""


class FoundColumn(RecordedColumn):
    """A column that ends an encoder where it would compute with what it found in texts."""

    def of_texts(self, name, compute, **attributes):
        raise Found(super().of_texts(name, compute, **attributes))


def program_of(encoder):
    """Return a program of what an encoder reads in a text."""
    operation = Operation("input", (), (), np.dtype(object), {"name": "text"})
    given = Recorded(operation, np.array(["2024", "1"], object))
    column = FoundColumn("text", given, lookup(given, (None,)) == 0)
    infer = encoder.infer
    if encoder.makes_sequences:
        infer = functools.partial(encoder.infer_sequences, steps=30)
    with pytest.raises(Found) as found:
        infer(column)
    y = found.value.args[0]
    inputs = (ProgramInput("text", "text", operation),)
    return Program("texts", inputs, (ProgramOutput("", y.operation),))


@pytest.mark.parametrize(
    "form", ["numpy", *(pytest.param(one, marks=pytest.mark.slow) for one in ("c", "js"))]
)
@pytest.mark.parametrize("case", CASES)
def test_texts_are_read_as_nnreg_reads_them(case, form, tmp_path):
    require(form)
    encoder, given = CASES[case]
    program = program_of(encoder)
    if form == "c":  # has no texts with NUL, and reads no lists of numbers with a point
        given = [one for one in given if one not in FLOATS and "\0" not in (one or "")]
    expected = program.run({"text": given})[""]
    found = answers(EXPORTERS[form], program, {"text": given}, tmp_path)["prediction"]
    different = [
        (text, one, own)
        for text, one, own in zip(given, np.asarray(found, float), expected, strict=True)
        if not np.allclose(one, own, rtol=1e-14, atol=1e-10, equal_nan=True)
    ]
    assert not different, [(text, one[one != own], own[one != own]) for text, one, own in different]
