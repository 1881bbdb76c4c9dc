"""Changes of bytes and of JSON trees, drawn from a generator."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from nnreg.registry.registry import installed

NUMBERS = (0, 1, -1, 2, 3, 7, 100, 2**31, 2**53 + 1, 2**63, 2**64, 10**30, 0.0, -0.0, 0.5, 1e-300,
           1e300, -1.5, math.nan, math.inf, True, False, None)  # fmt: skip
TEXTS = ("", "relu", "dense", "classes", "os.system", "../../x", "\0", "\ud800", "\x1b[2J",
         "é" * 50, "__class__", "type", "numpy", "/dev/zero", "NaN", "${env:HOME}", "${env:",
         "$${env:X:-y}", "spec.json", "base.json")  # fmt: skip
NAMES = [entry.name for entry in installed()]
ROOT = "the whole tree"
PIECES = ("{", "}", "[", "]", ",", ":", '"', "/*", "*/", "//", "\\", "\\u", "1e999", "NaN", "null",
          " ", "\n", "\ufeff", "\0", "9" * 400, "-", ".", "[" * 300)  # fmt: skip


def bytes_of(rng: Random, data: bytes) -> bytes:
    """Return data with a few bytes changed, moved, cut or added."""
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        place = rng.randrange(len(result) or 1)
        size = min(rng.choice((1, 2, 4, 8, 64, 512)), len(result) - place)
        match rng.randrange(8):
            case 0 | 1 | 2 if result:
                result[place] ^= 1 << rng.randrange(8)
            case 3:
                result[place : place + size] = rng.randbytes(size)
            case 4:
                fill = rng.choice((b"\0", b"\xff", b"\x01"))
                result[place : place + size] = fill * size
            case 5:
                other = rng.randrange(len(result) or 1)
                result[place : place + size] = result[other : other + size]
            case 6:
                number = rng.choice((0, 1, 2**31, 2**40, 2**63, 2**64 - 1, place, len(result)))
                result[place : place + 8] = number.to_bytes(8, "little")
            case 7 if rng.random() < 0.2:
                del result[place:]
            case _:
                result[place:place] = rng.randbytes(size)
    return bytes(result)


def tree(rng: Random, value: Any) -> Any:
    """Return a JSON tree with a few places changed."""
    root = {ROOT: copy.deepcopy(value)}
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = list(_places(root))
        holder, key = rng.choice(places)
        _change(rng, holder, key, [holder[key] for holder, key in places])
    return root[ROOT]


def _change(rng: Random, holder: Any, key: Any, values: list[Any]) -> None:
    value = holder[key]
    match rng.randrange(14):
        case 0:
            holder[key] = rng.choice(NUMBERS)
        case 1:
            holder[key] = rng.choice(TEXTS)
        case 2 if key != ROOT:
            del holder[key]
        case 3 if isinstance(holder, dict) and key != ROOT:
            holder[_misspelt(rng, str(key))] = holder.pop(key)
        case 4 if isinstance(holder, list) and key != ROOT:
            holder.insert(rng.randrange(len(holder) + 1), copy.deepcopy(value))
        case 5:
            holder[key] = copy.deepcopy(rng.choice(values))
        case 6:
            holder[key] = rng.choice(([], {}, [value], {"type": value}, {str(key): value}))
        case 7 if isinstance(value, dict):
            value[rng.choice(("type", "x", "units", "layers", "__init__"))] = rng.choice(TEXTS)
        case 8:
            for _ in range(rng.choice((1, 3, 120))):
                holder[key] = [holder[key]]
        case _ if isinstance(value, int | float) and not isinstance(value, bool):
            holder[key] = value * rng.choice((-1, 0, 2, 3, 10, 1e6, 1.5))
        case _ if isinstance(value, str):
            holder[key] = rng.choice(NAMES)


def _places(root: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place of a tree as its holder and key."""
    keys = range(len(root)) if isinstance(root, list) else list(root)
    for key in keys:
        yield root, key
        if isinstance(root[key], list | dict):
            yield from _places(root[key])


def _misspelt(rng: Random, text: str) -> str:
    place = rng.randrange(len(text) + 1)
    return text[:place] + rng.choice(("x", "_", " ", "é")) + text[place + 1 :]


def text_of(rng: Random, text: str) -> str:
    """Return text with a few pieces of JSON added, moved or cut."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        place, size = rng.randrange(len(text) + 1), rng.choice((1, 1, 5, 40))
        match rng.randrange(4):
            case 0:
                text = text[:place] + rng.choice(PIECES) + text[place:]
            case 1:
                text = text[:place] + text[place + size :]
            case 2:
                text = text[:place] + text[place : place + size] * 2 + text[place + size :]
            case 3:
                text = text[:place] + rng.choice(PIECES) + text[place + size :]
    return text


def dumps(value: Any, rng: Random, change: Callable[[Random, str], str] = text_of) -> str:
    """Write a tree as JSON, in a fifth of the cases with its text changed too."""
    text = json.dumps(value)
    return change(rng, text) if rng.random() < 1 / 5 else text
