"""Decimal numbers in bytes, read for many cells at once in NumPy, correctly rounded.

Eight digits are read in one 64-bit word, as of D. Lemire, "Number Parsing at a Gigabyte per Second"
(2021): multiplications add the digits in pairs, then the pairs, then the fours. A number of digits
`m` with a point before the last `f` of them is `m / 10**f`. Both are exact in float64 up to 2**53
and 10**22, so the quotient is rounded once, and is the one of `float`, as W. D. Clinger showed in
"How to Read Floating Point Numbers Accurately" (1990). With more digits, `m` is the sum of two
floats, and the exact remainder of the division, by T. J. Dekker's product of 1971, says how to
round. Where that is not certain, nothing is claimed.
"""

from __future__ import annotations

import numpy as np

from nnreg._types import Array

MARGIN = 64
"""The bytes that must be before the first cell, and after the last one."""

CHUNK = 2**13
"""How many cells are read at once, so that their arrays stay in the processor's cache."""

SPACE = np.array([chr(byte).isspace() and byte < 128 for byte in range(256)])
"""Whether a byte is a space for `str.strip`, which removes others too."""

WORD = np.dtype("<u8")
BYTE, SEVEN_BYTES = np.uint64(8), np.uint64(56)
PAIR = np.dtype("V16")
"""Sixteen bytes, two words, which NumPy gathers faster as one value."""


def every(byte: int) -> np.uint64:
    """Return a word of eight equal bytes."""
    return np.uint64(int.from_bytes(bytes([byte]) * 8, "little"))


ZEROS, ONES, TOPS, ABOVE_NINE = every(ord("0")), every(1), every(128), every(128 - 10)
LAST = np.array([2**64 - 2 ** (64 - 8 * count) for count in range(9)], np.uint64)
"""Words whose last `count` bytes are set."""
POWERS = 10.0 ** np.arange(23)
"""The powers of ten that float64 has exactly."""
WHOLE_POWERS = np.array([10**power for power in range(20)], np.uint64)
MAX_SCALE = len(POWERS) - 1
WORD_SCALE, PAIR_SCALE = WHOLE_POWERS[8], WHOLE_POWERS[16]
MAX_DIGITS_ABOVE = 999
"""The largest number before 16 other digits with which 64 bits have all of them."""

# Tables by the exponent of a word as a float, which says what its highest set bit is: if that is
# bit 8 i + 7, byte i is marked, and 7 - i bytes are after it. A word without a mark has exponent 0.
_EXPONENT = np.arange(1023 + 64)
_AFTER = np.where(_EXPONENT, np.clip((1023 + 63 - _EXPONENT) // 8, 0, 7), 0)
FROM_MARK = np.where(_EXPONENT, _AFTER + 1, 0)
"""The number of bytes from the mark to the end of the word."""
MARK_SHIFT = (8 * FROM_MARK).astype(np.uint64)
MARK_LAST = LAST[_AFTER]
UNMOVED = np.where(_EXPONENT, MARK_LAST, np.uint64(2**64 - 1))
MARK_WHOLE_POWER = WHOLE_POWERS[_AFTER]
MARK_POWER = POWERS[_AFTER]


def short_numbers(data: Array, starts: Array, ends: Array, point: str) -> tuple[Array, Array]:
    """Return the numbers in cells of `data`, bytes, and the positions of those that are unknown.

    Cell `i` is `data[starts[i]:ends[i]]`; `point` is the decimal mark. Known are numbers of at most
    eight digits, and, if many cells are longer, of eight before the point and seven after it.
    """
    values = np.empty(len(starts))
    unknown = [np.empty(0, np.intp)]
    pairs = np.ndarray((len(data) - 15,), PAIR, data, strides=(1,))
    scratch = np.empty((6, min(CHUNK, len(starts))), np.uint64)
    for first in range(0, len(starts), CHUNK):
        some = slice(first, first + CHUNK)
        own = scratch[:, : len(starts[some])]
        bad = _short(data, pairs, starts[some], ends[some], point, values[some], own)
        if len(bad):
            unknown.append(bad + first)
    return values, np.concatenate(unknown)


def _short(
    data: Array, pairs: Array, starts: Array, ends: Array, point: str, out: Array, scratch: Array
) -> Array:
    """Write the numbers of a chunk to `out`; return the positions of those that are unknown.

    `scratch` are words to compute in: new memory for each step would take a third of the time.
    """
    first = data[starts]
    negative = first == ord("-")
    length = np.subtract(ends, starts, out=scratch[0].view(np.int64))
    length -= negative
    if length.max() == 1 and not negative.any():
        out[:] = digits = first - np.uint8(ord("0"))
        return np.flatnonzero((digits > 9) | (length < 1))
    np.subtract(ends, 16, out=scratch[1].view(np.int64))
    high, low = pairs[scratch[1].view(np.intp)].view(WORD).reshape(-1, 2).T
    low = np.bitwise_xor(low, ZEROS, out=scratch[1])
    low &= LAST.take(length, mode="clip", out=scratch[2])
    marked = _marked(low, point, scratch[2:4])
    if not marked.any():
        out[:] = eight_digits(low, scratch[3:5]).view(np.int64)
        wrong = _not_digits(low, scratch[3])
    elif np.count_nonzero(length > 9) * 4 < len(length):
        length -= marked > 0
        digits = np.left_shift(low, BYTE, out=scratch[3])
        np.bitwise_xor(high, ZEROS, out=scratch[4])
        digits |= np.right_shift(scratch[4], SEVEN_BYTES, out=scratch[4])
        moved = np.bitwise_xor(digits, low, out=scratch[4])
        moved &= UNMOVED.take(marked, mode="clip", out=scratch[5])
        digits ^= moved  # those after the mark are back in their place
        digits &= LAST.take(length, mode="clip", out=scratch[4])
        value = eight_digits(digits, scratch[4:6]).view(np.int64)
        powers = MARK_POWER.take(marked, mode="clip", out=scratch[5].view(np.float64))
        np.divide(value, powers, out=out)
        wrong = _not_digits(digits, scratch[4])
    else:
        shift = MARK_SHIFT[marked]
        whole = (low << shift) | ((high ^ ZEROS) >> (np.uint64(64) - shift))
        length -= FROM_MARK[marked]
        whole &= LAST.take(length, mode="clip")
        fraction = low & MARK_LAST[marked]
        number = eight_digits(whole) * MARK_WHOLE_POWER[marked]
        number += eight_digits(fraction)
        np.divide(number.view(np.int64), MARK_POWER[marked], out=out)
        wrong = _not_digits(whole) | _not_digits(fraction)
    _negate(out, negative)
    length -= 1
    return np.flatnonzero((wrong != 0) | (length.view(np.uint64) > 7))


def _marked(word: Array, point: str, scratch: Array | None = None) -> Array:
    """Return the exponents of words in which the last decimal mark is marked, 0 where none is.

    A wrong byte after the mark may be marked instead; then the mark remains before it, and is no
    digit.
    """
    first, second = (None, None) if scratch is None else scratch
    found = np.bitwise_xor(word, every(ord(point) ^ ord("0")), out=first)
    marked = np.subtract(found, ONES, out=second)
    marked &= np.invert(found, out=found)
    marked &= TOPS
    exponent = found.view(np.float64)
    exponent[:] = marked
    places = exponent.view(np.int64)
    places >>= 52
    return places


def _not_digits(word: Array, out: Array | None = None) -> Array:
    """Return words that are not 0 where a byte is above nine."""
    found = np.add(word, ABOVE_NINE, out=out)
    found |= word
    found &= TOPS
    return found


def eight_digits(word: Array, scratch: Array | None = None) -> Array:
    """Return the numbers of eight decimal digits each, one in a byte, the first in the lowest."""
    first, second = (None, None) if scratch is None else scratch
    pairs = np.multiply(word, np.uint64(10), out=first)
    odd = np.right_shift(word, np.uint64(8), out=second)
    pairs += odd
    odd = np.right_shift(pairs, np.uint64(16), out=second)
    odd &= np.uint64(0xFF000000FF)
    odd *= np.uint64(1 + (10_000 << 32))
    pairs &= np.uint64(0xFF000000FF)
    pairs *= np.uint64(100 + (1_000_000 << 32))
    pairs += odd
    pairs >>= np.uint64(32)
    return pairs


def _negate(values: Array, negative: Array) -> None:
    """Set the sign bits of numbers that have none."""
    values.view(np.uint64)[:] |= negative.astype(np.uint64) << np.uint64(63)


def long_numbers(data: Array, starts: Array, ends: Array, point: str) -> tuple[Array, Array]:
    """Return the numbers in cells, and the positions of those that are unknown.

    Known are numbers of at most 19 digits without leading zeros, perhaps with an exponent.
    """
    signs = data[starts]
    signed = (signs == ord("-")) | (signs == ord("+"))
    exponents, end, bad = _exponents(data, starts + signed, ends)
    length = end - (starts + signed)
    parts = [_last_word(data, end - 8 * n, length - 8 * n) for n in range(3)]
    marks = [_marked(word, point) for word in parts]
    last = np.select([mark != 0 for mark in marks], [0, 8, 16], 0)
    after = last + FROM_MARK[np.select([mark != 0 for mark in marks], marks, 0)]
    digits = np.maximum(after - 1, 0)
    whole, bad_whole = _up_to_24_digits(data, end - after, length - after)
    fraction, bad_fraction = _up_to_24_digits(data, end, digits)
    scale = digits - exponents
    bad |= bad_whole | bad_fraction | (length > 24) | (length - (after > 0) <= 0)
    bad |= (np.abs(scale) > MAX_SCALE) | (length < after)
    bad |= whole.astype(np.float64) * 10.0**digits + fraction.astype(np.float64) > 1.8e19
    total = whole * WHOLE_POWERS.take(digits, mode="clip") + fraction
    values, uncertain = _scaled(total, scale)
    _negate(values, signs == ord("-"))
    return values, np.flatnonzero(bad | uncertain)


def _exponents(data: Array, starts: Array, ends: Array) -> tuple[Array, Array, Array]:
    """Return the exponents of cells, where they begin, and which are wrong.

    One has at most three digits; without one it is 0, and begins at the end of the cell.
    """
    begin = ends.copy()
    for back in range(2, 6):
        found = ((data[ends - back] | 0x20) == ord("e")) & (ends - back > starts)
        begin[found] = ends[found] - back
    some = begin < ends
    exponents, wrong = np.zeros(len(ends), np.int64), np.zeros(len(ends), bool)
    if some.any():
        first = begin[some] + 1
        sign = data[first]
        first += (sign == ord("-")) | (sign == ord("+"))
        length = ends[some] - first
        digits = _last_word(data, ends[some], length)
        wrong[some] = (_not_digits(digits) != 0) | (length <= 0) | (length > 3)
        values = eight_digits(digits).view(np.int64)
        exponents[some] = np.where(sign == ord("-"), -values, values)
    return exponents, begin, wrong


def _last_word(data: Array, ends: Array, length: Array) -> Array:
    """Return the eight bytes before `ends`, as digits; those beyond `length` are 0."""
    words = np.ndarray((len(data) - 7,), WORD, data, strides=(1,))
    found: Array = (words[ends - 8] ^ ZEROS) & LAST.take(length, mode="clip")
    return found


def _up_to_24_digits(data: Array, ends: Array, length: Array) -> tuple[Array, Array]:
    """Return whole numbers of `length` digits, and which are wrong or do not fit 64 bits."""
    parts = [_last_word(data, ends - 8 * n, length - 8 * n) for n in range(3)]
    low, middle, high = (eight_digits(word) for word in parts)
    wrong = _not_digits(parts[0]) | _not_digits(parts[1]) | _not_digits(parts[2])
    return high * PAIR_SCALE + middle * WORD_SCALE + low, (wrong != 0) | (high > MAX_DIGITS_ABOVE)


def _scaled(whole: Array, scale: Array) -> tuple[Array, Array]:
    """Return `whole / 10**scale` rounded once, and where the rounding is not certain."""
    high = whole.astype(np.float64)
    low = (whole - high.astype(np.uint64)).view(np.int64).astype(np.float64)
    power = POWERS.take(np.abs(scale), mode="clip")
    divides = scale >= 0
    first = np.where(divides, high / power, high * power)
    times = np.where(divides, first, high)
    product, error = _product(times, power)
    rest = np.where(divides, ((high - product - error) + low) / power, error + low * power)
    values = first + rest
    beyond = np.abs(rest - (values - first))
    spacing = np.spacing(values)
    near = spacing * 2.0**-40
    uncertain = (np.abs(beyond - spacing / 2) <= near) | (np.abs(beyond - spacing / 4) <= near)
    return values, uncertain & (values != 0)


def _product(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the product of floats and its rounding error, exactly. T. J. Dekker, 1971."""
    high_a, low_a = _halves(a)
    high_b, low_b = _halves(b)
    product = a * b
    error = ((high_a * high_b - product) + high_a * low_b + low_a * high_b) + low_a * low_b
    return product, error


def _halves(values: Array) -> tuple[Array, Array]:
    """Return floats of 26 bits whose sum is each value."""
    scaled = values * (2.0**27 + 1)
    high = scaled - (scaled - values)
    return high, values - high
