"""Numbers, sizes and times as human-readable text."""

from __future__ import annotations

import math

BYTES = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


def number(value: float) -> str:
    """Return a value with four or five digits; large ones with all digits before the point."""
    if 1e4 <= abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) < 1 else f"{value:.5g}"


def compact(value: float) -> str:
    """Return a value with about three digits, for text of nearly constant width."""
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:#.3g}"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: `1 row`, `1,200 rows`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def byte_size(size: float) -> str:
    """Return a number of bytes in the largest unit that makes it at least 1: `1.5 GB`."""
    unit = [name for name, one in BYTES.items() if size >= one or name == "B"][-1]
    size /= BYTES[unit]
    return f"{size:.1f} {unit}" if size < 100 and unit != "B" else f"{size:,.0f} {unit}"


def duration(seconds: float, *, milliseconds: bool = False) -> str:
    """Return a time in one or two units: `3.2 s`, `4 min 05 s`, `2 h 30 min`.

    With `milliseconds`, less than 0.1 s is `7.5 ms` instead of `0.0 s`.
    """
    if milliseconds and seconds < 0.1:
        return f"{1000 * seconds:.1f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours < 48 else f"{hours / 24:.1f} days"


def clock(seconds: float) -> str:
    """Return a remaining time: `0:07`, `12:34`, `1:02:03`, or in days."""
    minutes, second = divmod(math.ceil(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours / 24:.0f} days"
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def epoch_of(epoch: int, epochs: int) -> str:
    """Return `epoch/epochs`, padded to the same width for each epoch."""
    return f"{epoch:>{len(str(epochs))}}/{epochs}"


def with_article(kind: str) -> str:
    """Return a kind with its article."""
    return f"an {kind}" if kind[0] in "aeio" else f"a {kind}"
