"""The cells of delimited text: where they are, their numbers, and which of them are equal.

`data` are bytes with a margin of 64 or more before and after the text. Cell `i` of column `j` is
`data[starts[i, j]:ends[i, j]]`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled_exactly, inlined_exactly
from nnreg.kernels.numba.words import (
    ALL,
    BLOCK,
    NONE,
    ONES,
    TOPS,
    byte_at,
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
ONE, BYTES, LAST = np.uint64(1), np.uint64(8), np.uint64(63)
NINE, EIGHT_TIMES = np.uint64(9), np.uint64(3)
"""A shift by it multiplies by eight."""
IRREGULAR, MANY = -1, -1

CELLS = 128
"""How many cells of a column are read before those of the next one."""

POWERS = 10.0 ** np.arange(23)
"""The powers of ten that float64 has exactly."""
MAX_SCALE = len(POWERS) - 1
MAX_DIGITS = np.uint64(2**53)
"""Whole numbers up to it are exact in float64."""
MAX_BEFORE_DIGIT = np.uint64(10**17)
MAX_EXPONENT = 999

FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""An odd number without a pattern, 2**64 divided by the golden ratio."""
SECOND_FACTOR = np.uint64(0xC2B2AE3D27D4EB4F)


@compiled_exactly
def count_bytes(data: Array, first: int, stop: int) -> tuple[int, bool, bool]:
    """Count newlines in `data[first:stop]`; and tell if it has quotes or returns, and zeros."""
    newlines = 0
    rare = zeros = NONE
    for at in range(first, stop, BLOCK):
        exists = ALL if stop - at >= BLOCK else (ONE << np.uint64(stop - at)) - ONE
        newlines += count_bits(bytes_equal(data, at, NEWLINE) & exists)
        rare |= (bytes_equal(data, at, QUOTE) | bytes_equal(data, at, RETURN)) & exists
        zeros |= bytes_equal(data, at, 0) & exists
    return newlines, rare != NONE, zeros != NONE


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
    size, width = starts.size, starts.shape[1]
    all_starts, all_ends = starts.reshape(size), ends.reshape(size)
    row = cell = line = 0
    begin = first
    quote = inside = returned = after = doubled = quoted = NONE
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
            quoted |= quotes
            doubled |= opening & ((quotes << ONE) | quote)
            before, after, quote = beside >> LAST, closing >> LAST, quotes >> LAST
            separators &= ~within
        if cell + count_bits(separators) > size:
            return IRREGULAR, False
        first_cell = cell
        left = separators
        while left != NONE:
            end = at + zeros_below(left)
            left &= left - ONE
            all_starts[cell] = begin
            all_ends[cell] = end
            begin = end + 1
            cell += 1
        left = separators & newlines
        while left != NONE:
            bit = zeros_below(left)
            left &= left - ONE
            below = (ONE << np.uint64(bit)) - ONE
            last = first_cell + count_bits(separators & below)
            all_ends[last] -= data[at + bit - 1] == RETURN
            row += 1
            if last != row * width - 1 or (width == 1 and all_starts[last] == all_ends[last]):
                return IRREGULAR, False  # a blank line is not a row
            lines[row - 1] = line + count_bits(newlines & below)
        line += count_bits(newlines)
    if cell != row * width or inside != NONE:
        return IRREGULAR, False
    if quoted != NONE:
        for cell in range(row * width):
            around = data[all_starts[cell]] == QUOTE
            all_starts[cell] += around
            all_ends[cell] -= around
    return row, doubled != NONE


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
    words, before = np.empty(CELLS, np.uint64), np.empty(CELLS, np.uint64)
    first, length = np.empty(CELLS, np.uint64), np.empty(CELLS, np.uint64)
    unsure = np.empty(CELLS, np.uint64)
    empty_is_missing = np.uint64((lengths == 0).any())
    count = 0
    for begin in range(0, starts.shape[0], CELLS):
        rows = min(CELLS, starts.shape[0] - begin)
        for place in range(columns.size):
            column = columns[place]
            for n in range(rows):
                start, end = starts[begin + n, column], ends[begin + n, column]
                words[n], before[n] = word_at(data, end - 8), byte_at(data, end - 9)
                first[n], length[n] = byte_at(data, start), end - start
            some_unsure = _short_numbers(
                words, before, first, length, point, empty_is_missing,
                out[place, begin : begin + rows], unsure,
            )  # fmt: skip
            if not some_unsure and not missing_first:
                continue
            for n in range(rows):
                if unsure[n] != NONE or missing_first:
                    start, end = starts[begin + n, column], ends[begin + n, column]
                    value, known = _number_or_missing(data, start, end, point, missing, lengths)
                    out[place, begin + n] = value
                    if not known:
                        unknown[count, 0] = place
                        unknown[count, 1] = begin + n
                        count += 1
    return count


@compiled_exactly
def _short_numbers(
    words: Array, before: Array, first: Array, length: Array, point: int, empty_is_missing: Any,
    values: Array, unsure: Array,
) -> bool:  # fmt: skip
    """Write numbers to `values`, and 1 to `unsure` where none is; return whether that is somewhere.

    The loop has no branches, so that the compiler uses vectors.
    """
    any_unsure = longest = NONE
    for n in range(values.size):
        longest |= length[n]
    if longest == ONE:  # single digits are frequent
        for n in range(values.size):
            digit = first[n] - np.uint64(ZERO)
            values[n] = np.float64(np.int64(digit))
            unsure[n] = np.uint64(digit > NINE) | (length[n] ^ ONE)
            any_unsure |= unsure[n]
        if any_unsure == NONE:
            return False
        any_unsure = NONE
    for n in range(values.size):
        value, known = _short_number(before[n], words[n], first[n], length[n], point)
        empty = empty_is_missing & np.uint64(length[n] == NONE)
        values[n] = np.nan if empty else value
        unsure[n] = ~(known | empty) & ONE
        any_unsure |= unsure[n]
    some_unsure: bool = any_unsure != NONE
    return some_unsure


@compiled_exactly
def _number_or_missing(
    data: Array, start: int, end: int, point: int, missing: Array, lengths: Array
) -> tuple[float, bool]:
    """Return the number in a cell, NaN for a missing value, and whether it is certain."""
    while start < end and _is_space(data[start]):
        start += 1
    while start < end and _is_space(data[end - 1]):
        end -= 1
    if _is_one(data, start, end - start, missing, lengths):
        return np.nan, True
    found: tuple[float, bool] = _long_number(data, start, end, point)
    return found


@inlined_exactly
def _is_one(data: Array, start: int, length: int, texts: Array, lengths: Array) -> bool:
    """Return whether a cell is one of `texts`, words with zeros after their `lengths`."""
    for n in range(lengths.size):
        if lengths[n] == length:
            part = 0
            while 8 * part < length:
                word = word_at(data, start + 8 * part) & first_bytes(length - 8 * part)
                if word != texts[n, part]:
                    break
                part += 1
            else:
                return True
    return False


@compiled_exactly
def _is_space(byte: int) -> bool:
    """Return whether `str.strip` removes an ASCII character."""
    return byte == 32 or 9 <= byte <= 13 or 28 <= byte <= 31


@inlined_exactly
def _short_number(before: Any, word: Any, first: Any, length: Any, point: int) -> tuple[float, Any]:
    """Return the number in the last of nine bytes, and 1 if it is one, otherwise 0.

    `first` is the first of the `length` bytes of the cell. See
    `nnreg.builtin.sources.byte_numbers`, also for how eight digits are read.
    """
    negative = first == MINUS
    length -= np.uint64(negative)
    unused = BYTES - min(max(length, ONE), BYTES)
    digits = (word ^ ZEROS) & (ALL << (unused << EIGHT_TIMES))
    mark = zero_bytes(digits ^ (np.uint64(point ^ ZERO) * ONES))
    below = (mark - ONE) & ~mark  # all bits if there is none
    after = 7 - (count_bits(below) >> 3)
    marked = after >= 0
    low = below >> np.uint64(7)
    high = ~(low | ((low + ONE) * np.uint64(255)))
    ninth = (before ^ np.uint64(ZERO)) if length == BYTES + ONE else NONE
    joined = ninth | ((digits & low) << BYTES) | (digits & high)
    digits = joined if marked else digits
    length -= np.uint64(marked)
    wrong = ((digits + ABOVE_NINE) | digits) & TOPS
    known = np.uint64(wrong == NONE) & np.uint64(length - ONE < BYTES)
    value = np.float64(np.int64(_eight_digits(digits))) / POWERS[max(after, 0)]
    return (-value if negative else value), known


@inlined_exactly
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
        first = word_at(data, start) & first_bytes(length)
        second = word_at(data, start + 8) & first_bytes(length - 8)
        mixed = (first ^ np.uint64(length)) * FACTOR + second * SECOND_FACTOR
        for at in range(16, length, 8):
            word = word_at(data, start + at) & first_bytes(length - at)
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
                for part in range(texts.shape[1]):
                    word = word_at(data, start + 8 * part)
                    texts[number, part] = word & first_bytes(length - 8 * part)
                new_rows[count - known] = row
                count += 1
                break
            if lengths[number] == length and texts[number, 0] == first:
                part = 1
                word = second
                while word == texts[number, part] and 8 * (part + 1) < length:
                    part += 1
                    word = word_at(data, start + 8 * part) & first_bytes(length - 8 * part)
                if word == texts[number, part]:
                    break
            slot = (slot + 1) & (slots.size - 1)
        numbers[row] = number
    return count


@compiled_exactly
def longest_text(starts: Array, ends: Array, column: int) -> int:
    """Return the most bytes of a cell of a column."""
    found = 0
    for row in range(starts.shape[0]):
        found = max(found, ends[row, column] - starts[row, column])
    return found


@compiled_exactly
def copy_texts(
    data: Array, starts: Array, ends: Array, column: int, texts: Array, lengths: Array, out: Array,
    missing: Array,
) -> bool:  # fmt: skip
    """Copy the cells of a column to rows of words, with zeros after the text.

    `missing` receives which of them are one of `texts`, also rows of words, of these lengths.
    Return whether all cells are ASCII without spaces around them.
    """
    of_length = NONE  # a bit for each length of the texts, the last one for those above it too
    for length in lengths:
        of_length |= ONE << np.uint64(min(length, 63))
    any_set = NONE
    spaces = False
    for row in range(starts.shape[0]):
        start, end = starts[row, column], ends[row, column]
        length = end - start
        for part in range(out.shape[1]):
            word = word_at(data, start + 8 * part) & first_bytes(length - 8 * part)
            out[row, part] = word
            any_set |= word
        if length > 0:
            spaces |= _is_space(byte_at(data, start)) | _is_space(byte_at(data, end - 1))
        possible = (of_length >> np.uint64(min(length, 63))) & ONE != NONE
        missing[row] = possible and _is_one(data, start, length, texts, lengths)
    return not spaces and any_set & TOPS == NONE
