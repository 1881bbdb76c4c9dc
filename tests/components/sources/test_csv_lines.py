"""Lines of UTF-8 read from bytes: the same as by the standard library."""

import io
from random import Random

import pytest

from nnreg.builtin.sources import delimited_lines
from nnreg.builtin.sources.delimited_lines import TextLines, Utf8Lines, lines_in
from nnreg.builtin.sources.text_file import CountedFile

PIECES = ["a", "é", "\N{GRINNING FACE}", ",", "\n", "\r\n", "\r", '"', "\0", "\ufeff", "x" * 9]


@pytest.fixture(autouse=True, params=[1, 2, 7, 2**13])
def chunk(request, monkeypatch):
    monkeypatch.setattr(delimited_lines, "CHUNK", request.param)
    return request.param


class Short(io.BytesIO):
    """A file that returns fewer bytes than are asked for, as a decompressed one may."""

    most = 2**20

    def read1(self, size=-1):
        return super().read1(min(size, self.most))


def both(data, most=2**20):
    """Return readers of the lines of `data`: from its bytes, and by the standard library."""
    short = Short(data)
    short.most = most
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")
    return Utf8Lines(CountedFile(short, "t.csv")), TextLines(text)


def drawn(rng):
    text = "".join(rng.choice(PIECES) for _ in range(rng.randrange(40)))
    return rng.choice(["", "\ufeff"]) + text


@pytest.mark.parametrize("seed", range(150))
def test_lines_are_those_of_the_standard_library(seed):
    rng = Random(seed)
    found, expected = both(drawn(rng).encode(), rng.choice([1, 3, 2**20]))
    assert [*iter(found.readline, "")] == [*iter(expected.readline, "")]
    assert found.readline() == found.many(9) == ""


@pytest.mark.parametrize("seed", range(150))
def test_many_lines_are_whole_and_may_be_read_again(seed):
    rng = Random(seed)
    text = drawn(rng)
    found, _ = both(text.encode(), rng.choice([1, 3, 2**20]))
    first, places, parts = found.readline(), [], []
    size = rng.choice([1, 2, 5, 100])
    places.append(found.tell())
    while part := found.many(size):
        parts.append(part)
        places.append(found.tell())
    assert first + "".join(parts) == text.removeprefix("\ufeff")
    for part in parts[:-1]:
        assert part[-1] in "\r\n"
        assert len(part.encode()) > size
        assert len(part.encode()[size:].splitlines()) == 1
    for place, part in reversed([*zip(places, parts, strict=False)]):
        found.seek(place)
        assert found.many(size) == part


@pytest.mark.parametrize("size", [0, 3, 100])
@pytest.mark.parametrize("bad", [b"\xff", b"a\xc3\n", b"\xed\xa0\x80", b"\xf0\x9f"])
def test_what_is_not_utf_8_is_an_error(bad, size):
    found, _ = both(b"a,b\n" + bad)
    with pytest.raises(UnicodeDecodeError):
        list(iter(lambda: found.many(size), ""))


def test_bad_text_in_what_was_read_ahead_is_an_error(chunk):
    found, _ = both(b"a,b\n" + b"x" * 20 + b"\xff")
    if chunk > 30:
        with pytest.raises(UnicodeDecodeError):
            found.readline()
    else:
        assert found.readline() == "a,b\n"


def test_other_encodings_are_read_by_the_standard_library():
    text = io.TextIOWrapper(io.BytesIO("é\r\nb".encode("utf-16")), "utf-16", newline="")
    lines = lines_in(text, CountedFile(text.buffer, "t.csv"), "utf-16")
    assert lines.readline() == "é\r\n"
    place = lines.tell()
    assert lines.many(1) == "b"
    lines.seek(place)
    assert lines.many(9) == "b"
