"""Functions of a Python file that read texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nnreg.builtin.encoders.date_texts import expression_of
from nnreg.operations.operation import Operation

CALLS: Mapping[str, Callable[[Operation], str]] = {
    "count_terms": lambda one: _settings(one, "terms", "lowercase", "stop_words", "low", "high"),
    "count_labels": lambda one: _settings(one, "labels", "separator"),
    "hash": lambda one: _settings(one, "seed", "size"),
    "date_parts": lambda one: f"patterns={[*map(expression_of, one.attributes['patterns'])]!r}",
    "tokens": lambda one: _settings(one, "items", "parts", "lowercase", "longest", "steps"),
    "byte_pairs": lambda one: _settings(one, "merges", "lowercase", "longest", "steps"),
}
"""The arguments, after the texts, of the function of an operation, by its name."""


def _settings(one: Operation, *names: str) -> str:
    return ", ".join(f"{name}={one.attributes[name]!r}" for name in names)


FUNCTIONS = {
    "count_terms": r'''
    def _count_terms(texts, terms, lowercase, stop_words, low, high):
        places = {term: n for n, term in enumerate(terms)}
        found = np.zeros((len(texts), len(terms)))
        for row, text in zip(found, texts):
            text = text or ""
            all_words = re.findall(r"\b\w\w+\b", text.lower() if lowercase else text)
            words = [one for one in all_words if one not in stop_words]
            for size in range(low, high + 1):
                for at in range(len(words) - size + 1):
                    term = " ".join(words[at : at + size])
                    if term in places:
                        row[places[term]] += 1
        return found
    ''',
    "count_labels": r'''
    def _count_labels(texts, labels, separator):
        places = {label: n for n, label in enumerate(labels)}
        found = np.zeros((len(texts), len(labels) + 1))
        for row, text in zip(found, texts):
            text = text or ""
            parts = text.split(separator)
            if text.startswith("["):
                try:
                    items = json.loads(text, parse_constant=lambda name: {})
                    if any(isinstance(item, (list, dict)) for item in items):
                        raise ValueError(text)
                    whole = [isinstance(item, float) and item == item // 1 for item in items]
                    parts = [f"{p:.0f}" if w else str(p) for p, w in zip(items, whole)]
                    parts = [part for part in parts if part != "None"]
                except ValueError:
                    row[-1], parts = np.nan, []
            for part in filter(None, map(str.strip, parts)):
                row[places.get(part, -1)] += 1
        return found
    ''',
    "hash": r'''
    def _hash(texts, seed, size):
        found = np.zeros((len(texts), 2))
        for row, text in zip(found, texts):
            if text is not None:
                value = _murmurhash(_canonical(text).encode("utf-8", "surrogatepass"), seed)
                value -= (value >> 31) << 32
                row[:] = abs(value) % size, -1 if value < 0 else 1
        return found


    def _canonical(text):  # a number is always written in the same way
        if re.match(r"[+-]?0\d", text):
            return text
        if re.fullmatch(r"[+-]?\d{1,300}", text.strip()):
            return str(int(text))
        try:
            value = float(text)
        except ValueError:
            return text
        if not math.isfinite(value) or "_" in text:
            return text
        return str(int(value)) if value == value // 1 else repr(value)


    def _murmurhash(data, state):  # MurmurHash3 of Austin Appleby
        for at in range(0, len(data), 4):
            word = int.from_bytes(data[at : at + 4], "little") * 0xCC9E2D51 & 0xFFFFFFFF
            state ^= (word << 15 | word >> 17) * 0x1B873593 & 0xFFFFFFFF
            if at + 4 <= len(data):
                state = ((state << 13 | state >> 19) * 5 + 0xE6546B64) & 0xFFFFFFFF
        state ^= len(data)
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
            state = (state ^ state >> shift) * factor & 0xFFFFFFFF
        return state ^ state >> 16
    ''',
    "date_parts": r'''
    def _date_parts(texts, patterns):
        return np.array([_date(text or "", patterns) for text in texts], float).reshape(-1, 9)


    def _date(text, patterns):
        for pattern, letters in patterns:
            match = re.fullmatch(pattern, text, re.ASCII)
            if match:
                given = {letter: part for letter, part in zip(letters, match.groups()) if part}
                year, month, day = (int(given.get(k, n)) for k, n in zip("Ymd", (1970, 1, 1)))
                hour, minute, second = (int(given.get(letter, 0)) for letter in "HMS")
                zone = re.fullmatch(r"([-+])(\d\d):?(\d\d)?", given.get("z", ""))
                zone = zone or ("", "+", "0", "0")
                try:
                    moment = datetime.datetime(year, month, day, hour, minute, second)
                    east = datetime.timedelta(hours=int(zone[2]), minutes=int(zone[3] or 0))
                    moment += -east if zone[1] == "+" else east
                except (ValueError, OverflowError):
                    continue
                first = datetime.datetime(moment.year, 1, 1)
                clock = (moment.hour * 60 + moment.minute) * 60 + moment.second
                fraction = int(given.get("f", "0")[:6].ljust(6, "0")) / 1e6
                days = moment.toordinal() - 719163 + (clock + fraction) / 86400
                length = 365 + calendar.isleap(moment.year)
                return (
                    days, clock, moment.year, moment.month - 1, moment.day,
                    (moment - first).days, length, moment.isocalendar()[1], 1,
                )
        return (0, 0, 1970, 0, 1, 0, 365, 1, 0)
    ''',
    "tokens": r'''
    def _tokens(texts, items, parts, lowercase, longest, steps):
        numbers = {item: n for n, item in enumerate(items, 1)}
        found = np.zeros((len(texts), 1 + steps), np.int64)
        pattern = r"\w+|[^\w\s]" if parts == "words" else r"[\s\S]"
        for row, text in zip(found, texts):
            text = text or ""
            tokens = re.findall(pattern, text.lower() if lowercase else text)[:longest]
            row[0] = len(tokens)
            row[1 : len(tokens) + 1] = [numbers.get(token, 0) for token in tokens[:steps]]
        return found
    ''',
    "byte_pairs": r'''
    def _byte_pairs(texts, merges, lowercase, longest, steps):
        token_of = {pair: n for n, pair in enumerate(merges, 256)}
        found = np.zeros((len(texts), 1 + steps), np.int64)
        for row, text in zip(found, texts):
            text = (text or "").lower() if lowercase else text or ""
            pieces = re.findall(r"\s?\w{1,40}|\s?[^\w\s]{1,40}|\s{1,40}", text)
            tokens = [token for piece in pieces for token in _merged(piece, token_of)][:longest]
            row[0] = len(tokens)
            row[1 : len(tokens) + 1] = tokens[:steps]
        return found


    def _merged(piece, token_of):  # the pair that was learned first, again and again
        tokens = list(piece.encode("utf-8", "surrogatepass"))
        while len(tokens) > 1:
            first = min(zip(tokens, tokens[1:]), key=lambda pair: token_of.get(pair, math.inf))
            if first not in token_of:
                break
            merged = []
            for token in tokens:
                if merged and (merged[-1], token) == first:
                    merged[-1] = token_of[first]
                else:
                    merged.append(token)
            tokens = merged
        return tokens
    ''',
}  # fmt: skip
"""The functions of texts by operation, whose names begin with _."""
