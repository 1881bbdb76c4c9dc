"""Did you mean: the known names that are most similar to a mistyped one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SIMILAR = 0.6
"""The least similarity of a suggested name, from 0 to 1."""

MAX_SUGGESTIONS = 3


def suggest(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return `"; did you mean 'relu'?"` for a name similar to a known one.

    If none is similar, return the hint `otherwise`, by default to choose one of the known names.
    """
    names = sorted(known)
    if meant := did_you_mean(closest(name, names)):
        return meant
    otherwise = otherwise or (f"choose one of {', '.join(names)}" if names else "")
    return otherwise and f"; {otherwise}"


def did_you_mean(names: Sequence[str]) -> str:
    """Return `"; did you mean 'a' or 'b'?"`, or nothing if there is nothing to suggest."""
    return f"; did you mean {' or '.join(map(repr, names[:MAX_SUGGESTIONS]))}?" if names else ""


def closest(name: str, known: Iterable[str], at_least: float = SIMILAR) -> list[str]:
    """Return the known name that is most similar, and others that are as similar, sorted."""
    from difflib import SequenceMatcher  # imported only for an error message

    matcher, found = SequenceMatcher(b=name), list[str]()
    for candidate in known:
        matcher.set_seq1(candidate)
        # two upper bounds first, which are much faster
        if min(matcher.real_quick_ratio(), matcher.quick_ratio()) < at_least:
            continue
        ratio = matcher.ratio()
        if ratio > at_least:
            at_least, found = ratio, []
        if ratio == at_least:
            found.append(candidate)
    return sorted(found)


def similarity(name: str, known: str) -> float:
    """Return how similar two names are, from 0 to 1."""
    from difflib import SequenceMatcher

    return SequenceMatcher(a=known, b=name).ratio()
