"""Tables of Unicode, as Python has them, of what a program needs to read texts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection

CODES = (*range(1, 0x40000), *range(0xE0000, 0xE1000))
"""The code points of planes that have characters."""


def _ranges(belongs: Callable[[str], bool]) -> list[tuple[int, int]]:
    """Return the first and last code point of each range of characters that belong to a class."""
    found: list[tuple[int, int]] = []
    for code in (code for code in CODES if belongs(chr(code))):
        if found and found[-1][1] == code - 1:
            found[-1] = (found[-1][0], code)
        else:
            found.append((code, code))
    return found


@functools.cache
def words() -> list[tuple[int, int]]:
    """Return what words consist of: letters, digits and the underscore."""
    return _ranges(lambda one: one.isalnum() or one == "_")


@functools.cache
def spaces() -> list[tuple[int, int]]:
    """Return the white space."""
    return _ranges(str.isspace)


@functools.cache
def cased() -> list[tuple[int, int]]:
    """Return the letters with a case, after which a capital sigma at the end of a word is final."""
    return _ranges(
        lambda one: (one.islower() or one.isupper() or one.istitle()) and _before_final(one)
    )


@functools.cache
def ignorable() -> list[tuple[int, int]]:
    """Return what is left out when it is asked whether a sigma ends a word."""
    return _ranges(lambda one: not _before_final(one) and _before_final(f"A{one}"))


def _before_final(text: str) -> bool:
    return f"{text}Σ".lower().endswith("ς")


@functools.cache
def digits() -> list[int]:
    """Return the zero of each script's ten digits."""
    return [code for code in CODES if chr(code).isdecimal() and int(chr(code)) == 0]


def lower(letters: Collection[str] | None) -> list[tuple[int, int, int, int]]:
    """Return runs of capital letters whose small ones are among these: with None, of all letters.

    A run is its first and last letter, the distance between two, and what is added to them.
    A capital I with a dot, which becomes two letters, is left out, and so is a capital sigma.
    """
    pairs = [(code, ord(small)) for code, small in _small_letters() if _is_in(small, letters)]
    found: list[tuple[int, int, int, int]] = []
    for code, small in pairs:
        added = small - code
        if found:
            first, last, step, before = found[-1]
            distance = code - last
            if before == added and distance <= 2 and step in (0, distance):
                found[-1] = first, code, distance, added
                continue
        found.append((code, code, 0, added))
    return [(first, last, step or 1, added) for first, last, step, added in found]


@functools.cache
def _small_letters() -> list[tuple[int, str]]:
    every = [(code, chr(code).lower()) for code in CODES if chr(code) != "Σ"]
    return [(code, small) for code, small in every if len(small) == 1 and small != chr(code)]


def _is_in(letter: str, letters: Collection[str] | None) -> bool:
    return letters is None or letter in letters
