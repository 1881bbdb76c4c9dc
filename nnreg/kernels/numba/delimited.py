"""The cells of delimited text: where they are, their numbers, and which of them are equal.

`data` are bytes with a margin of 64 or more before and after the text. Cell `i` of column `j` is
`data[starts[i, j]:ends[i, j]]`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled_exactly
from nnreg.kernels.numba.words import (
    BLOCK,
    NONE,
    ONES,
    TOPS,
    bytes_equal,
    count_bits,
    first_bytes,
    parity,
    word_at,
    zero_bytes,
    zeros_below,
)

QUOTE, NEWLINE, RETURN, MINUS, PLUS, ZERO, EXPONENT = b'"\n\r-+0e'
ZEROS, ABOVE_NINE = np.uint64(ord("0")) * ONES, np.uint64(128 - 10) * ONES
ONE, LAST = np.uint64(1), np.uint64(63)
IRREGULAR, MANY = -1, -1

POWERS = 10.0 ** np.arange(23)
"""The powers of ten that float64 has exactly."""
MAX_SCALE = len(POWERS) - 1
MAX_DIGITS = np.uint64(2**53)
"""Whole numbers up to it are exact in float64."""
MAX_BEFORE_DIGIT = np.uint64(10**17)
MAX_EXPONENT = 999

FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""An odd number without a pattern, 2**64 divided by the golden ratio."""


@compiled_exactly
def find_cells(
    data: Array, first: int, stop: int, delimiter: int, quotes_or_returns: bool, starts: Array,
    ends: Array, lines: Array,
) -> tuple[int, bool]:  # fmt: skip
    """Find the cells of text in `data[first:stop]`, which ends with the end of a line.

    Return the number of rows, -1 unless every quote begins or ends a cell or is doubled, every
    carriage return ends a line, and rows are as wide as `starts`; and whether a quote is doubled.
    `lines` receives the number of lines before the last one of each row.
    """
    width = starts.shape[1]
    row = column = line = 0
    begin = first
    quote = inside = returned = after = doubled = NONE
    before = ONE  # a quote at the beginning begins a cell
    for at in range(first, stop, BLOCK):
        newlines = bytes_equal(data, at, NEWLINE)
        separators = newlines | bytes_equal(data, at, delimiter)
        if stop - at < BLOCK:
            exists = (ONE << np.uint64(stop - at)) - ONE
            newlines &= exists
            separators &= exists
        if quotes_or_returns:
            returns = bytes_equal(data, at, RETURN)
            quotes = bytes_equal(data, at, QUOTE)
            if ((returns << ONE) | returned) & ~newlines != NONE:
                return IRREGULAR, False
            returned = returns >> LAST
            within = parity(quotes) ^ inside
            inside = NONE - (within >> LAST)
            beside = separators | quotes
            opening, closing = quotes & within, quotes & ~within
            if opening & ~((beside << ONE) | before) != NONE:
                return IRREGULAR, False
            if ((closing << ONE) | after) & ~(beside | returns) != NONE:
                return IRREGULAR, False
            doubled |= opening & ((quotes << ONE) | quote)
            before, after, quote = beside >> LAST, closing >> LAST, quotes >> LAST
            separators &= ~within
        left = separators
        while left != NONE:
            bit = zeros_below(left)
            left &= left - ONE
            end = at + bit
            if column == width:
                return IRREGULAR, False
            quoted = data[begin] == QUOTE
            starts[row, column] = begin + quoted
            ends[row, column] = end - quoted
            column += 1
            if (newlines >> np.uint64(bit)) & ONE != NONE:
                if data[end - 1] == RETURN:
                    ends[row, column - 1] -= 1
                    end -= 1
                if column < width or (width == 1 and begin == end):
                    return IRREGULAR, False  # a blank line is not a row
                lines[row] = line + count_bits(newlines & ((ONE << np.uint64(bit)) - ONE))
                row += 1
                column = 0
            begin = at + bit + 1
        line += count_bits(newlines)
    return (row if column == 0 and inside == NONE else IRREGULAR), doubled != NONE


@compiled_exactly
def find_numbers(
    data: Array, starts: Array, ends: Array, columns: Array, point: int, missing: Array,
    lengths: Array, missing_first: bool, out: Array, unknown: Array,
) -> int:  # fmt: skip
    """Write the numbers of some columns to `out`, `(columns, rows)`, NaN for missing values.

    The text of a missing value is a row of `missing`, words with zeros after its length. It is only
    looked for where a cell is not a number, unless it comes first. The rows of `unknown` receive
    the positions in `out` of the cells that must be read otherwise; their count is returned.
    """
    count = 0
    for row in range(starts.shape[0]):
        for place in range(columns.size):
            start, end = starts[row, columns[place]], ends[row, columns[place]]
            byte = data[start]
            if end - start == 1 and ZERO <= byte < ZERO + 10:
                value, known = np.float64(byte - ZERO), True
            else:  # without calls with arrays, which are slow
                word = word_at(data, end - 8)
                before = np.uint64(data[end - 9])
                value, known = _short_number(before, word, byte == MINUS, end - start, point)
            if missing_first or not known:
                value, known = _number_or_missing(data, start, end, point, missing, lengths)
                if not known:
                    unknown[count, 0] = place
                    unknown[count, 1] = row
                    count += 1
            out[place, row] = value
    return count


@compiled_exactly
def _number_or_missing(
    data: Array, start: int, end: int, point: int, missing: Array, lengths: Array
) -> tuple[float, bool]:
    """Return the number in a cell, NaN for a missing value, and whether it is certain."""
    while start < end and _is_space(data[start]):
        start += 1
    while start < end and _is_space(data[end - 1]):
        end -= 1
    for n in range(lengths.size):
        if lengths[n] == end - start:
            part = 0
            while 8 * part < lengths[n]:
                word = word_at(data, start + 8 * part) & first_bytes(lengths[n] - 8 * part)
                if word != missing[n, part]:
                    break
                part += 1
            else:
                return np.nan, True
    found: tuple[float, bool] = _long_number(data, start, end, point)
    return found


@compiled_exactly
def _is_space(byte: int) -> bool:
    """Return whether `str.strip` removes an ASCII character."""
    return byte == 32 or 9 <= byte <= 13 or 28 <= byte <= 31


@compiled_exactly
def _short_number(
    before: Any, word: Any, negative: bool, length: int, point: int
) -> tuple[float, bool]:
    """Return the number in the last of nine bytes, and whether it is one; the sign is first.

    See `nnreg.builtin.sources.byte_numbers`, also for how eight digits are read.
    """
    length -= negative
    if length < 1 or length > 9:
        return 0.0, False
    digits = (word ^ ZEROS) & ~first_bytes(8 - length)
    mark = zero_bytes(digits ^ (np.uint64(point ^ ZERO) * ONES))
    after = 0
    if mark != NONE:
        place = np.uint64(zeros_below(mark) & 56)
        low = (ONE << place) - ONE
        first = (before ^ np.uint64(ZERO)) if length == 9 else NONE
        digits = (
            first | ((digits & low) << np.uint64(8)) | (digits & ~low & ~(np.uint64(255) << place))
        )
        after = 7 - (zeros_below(mark) >> 3)
        length -= 1
    if length < 1 or length > 8 or ((digits + ABOVE_NINE) | digits) & TOPS != NONE:
        return 0.0, False
    value = np.float64(np.int64(_eight_digits(digits))) / POWERS[after]
    if negative:
        value = -value
    return value, True


@compiled_exactly
def _eight_digits(word: Any) -> Any:
    pairs = word * np.uint64(10) + (word >> np.uint64(8))
    high = (pairs >> np.uint64(16)) & np.uint64(0xFF000000FF)
    low = pairs & np.uint64(0xFF000000FF)
    total = low * np.uint64(100 + (1_000_000 << 32)) + high * np.uint64(1 + (10_000 << 32))
    return total >> np.uint64(32)


@compiled_exactly
def _long_number(data: Array, start: int, end: int, point: int) -> tuple[float, bool]:
    """Return the number in a cell, byte by byte, and if `float` certainly returns the same."""
    at = start
    if at < end and (data[at] == MINUS or data[at] == PLUS):
        at += 1
    total = np.uint64(0)
    digits = 0
    mark = -1
    while at < end:
        byte = data[at]
        if ZERO <= byte < ZERO + 10:
            if total > MAX_BEFORE_DIGIT:
                return 0.0, False
            total = total * np.uint64(10) + np.uint64(byte - ZERO)
            digits += 1
        elif byte == point and mark < 0:
            mark = digits
        else:
            break
        at += 1
    scale = digits - mark if mark >= 0 else 0
    exponent, known = _exponent(data, at, end)
    scale -= exponent
    if not known or digits == 0 or total > MAX_DIGITS or abs(scale) > MAX_SCALE:
        return 0.0, False
    value = np.float64(np.int64(total))
    value = value / POWERS[scale] if scale >= 0 else value * POWERS[-scale]
    return (-value if data[start] == MINUS else value), True


@compiled_exactly
def _exponent(data: Array, at: int, end: int) -> tuple[int, bool]:
    """Return the exponent at the end of a number, 0 if there is none, and if it is well-formed."""
    if at == end:
        return 0, True
    if data[at] | 32 != EXPONENT:
        return 0, False
    at += 1
    negative = at < end and data[at] == MINUS
    if at < end and (data[at] == MINUS or data[at] == PLUS):
        at += 1
    value = 0
    known = at < end
    while at < end:
        byte = data[at]
        known = known and ZERO <= byte < ZERO + 10 and value <= MAX_EXPONENT
        value = min(10 * value + byte - ZERO, 10 * MAX_EXPONENT)
        at += 1
    return (-value if negative else value), known


@compiled_exactly
def find_texts(
    data: Array, starts: Array, ends: Array, column: int, slots: Array, shift: int, texts: Array,
    lengths: Array, count: int, most: int, numbers: Array, new_rows: Array,
) -> int:  # fmt: skip
    """Write to `numbers` which of the distinct texts each cell of a column is.

    `count` texts are known before; they are rows of words, with zeros after the text. `slots` are
    their numbers by a hash, of which `shift` removes all bits but the first; -1 where there is
    none. Return the number of texts known after; `new_rows` receives the first row of each new one.
    It is -1 if a cell is longer than a row of `texts`, or there are more than `most` texts.
    """
    limit = 8 * texts.shape[1]
    known = count
    for row in range(starts.shape[0]):
        start = starts[row, column]
        length = ends[row, column] - start
        if length > limit:
            return MANY
        parts = (length + 7) >> 3
        mixed = np.uint64(length)
        for part in range(parts):
            word = word_at(data, start + 8 * part) & first_bytes(length - 8 * part)
            mixed = (mixed ^ word) * FACTOR
            mixed ^= mixed >> np.uint64(32)
        slot = np.int64((mixed * FACTOR) >> np.uint64(shift))
        while True:
            number = slots[slot]
            if number < 0:
                if count == most:
                    return MANY
                number = count
                slots[slot] = number
                lengths[number] = length
                for part in range(parts):
                    word = word_at(data, start + 8 * part)
                    texts[number, part] = word & first_bytes(length - 8 * part)
                new_rows[count - known] = row
                count += 1
                break
            if lengths[number] == length:
                part = 0
                while part < parts:
                    word = word_at(data, start + 8 * part) & first_bytes(length - 8 * part)
                    if word != texts[number, part]:
                        break
                    part += 1
                if part == parts:
                    break
            slot = (slot + 1) & (slots.size - 1)
        numbers[row] = number
    return count


@compiled_exactly
def copy_texts(data: Array, starts: Array, ends: Array, column: int, out: Array) -> bool:
    """Copy the cells of a column to rows of words, with zeros after the text.

    Return whether all of them are ASCII without spaces around them.
    """
    any_set = NONE
    spaces = False
    for row in range(starts.shape[0]):
        start, end = starts[row, column], ends[row, column]
        for part in range(out.shape[1]):
            word = word_at(data, start + 8 * part) & first_bytes(end - start - 8 * part)
            out[row, part] = word
            any_set |= word
        if start < end and (_is_space(data[start]) or _is_space(data[end - 1])):
            spaces = True
    return not spaces and any_set & TOPS == NONE
