"""Random mutations of bytes, texts and JSON trees."""

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
TOKENS = ("{", "}", "[", "]", ",", ":", '"', "/*", "*/", "//", "\\", "\\u", "1e999", "NaN", "null",
          " ", "\n", "\ufeff", "\0", "9" * 400, "-", ".", "[" * 300)  # fmt: skip


def bytes_of(rng: Random, data: bytes) -> bytes:
    """Return data with some bytes changed, moved, removed or inserted."""
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        start = rng.randrange(len(result) or 1)
        size = min(rng.choice((1, 2, 4, 8, 64, 512)), len(result) - start)
        match rng.randrange(8):
            case 0 | 1 | 2 if result:
                result[start] ^= 1 << rng.randrange(8)
            case 3:
                result[start : start + size] = rng.randbytes(size)
            case 4:
                fill = rng.choice((b"\0", b"\xff", b"\x01"))
                result[start : start + size] = fill * size
            case 5:
                other = rng.randrange(len(result) or 1)
                result[start : start + size] = result[other : other + size]
            case 6:
                number = rng.choice((0, 1, 2**31, 2**40, 2**63, 2**64 - 1, start, len(result)))
                result[start : start + 8] = number.to_bytes(8, "little")
            case 7 if rng.random() < 0.2:
                del result[start:]
            case _:
                result[start:start] = rng.randbytes(size)
    return bytes(result)


def tree(rng: Random, value: Any) -> Any:
    """Return a JSON tree with some values changed."""
    root = {ROOT: copy.deepcopy(value)}
    for _ in range(rng.choice((1, 1, 2, 3))):
        items = list(_items(root))
        container, key = rng.choice(items)
        _change(rng, container, key, [container[key] for container, key in items])
    return root[ROOT]


def _change(rng: Random, container: Any, key: Any, values: list[Any]) -> None:
    value = container[key]
    match rng.randrange(14):
        case 0:
            container[key] = rng.choice(NUMBERS)
        case 1:
            container[key] = rng.choice(TEXTS)
        case 2 if key != ROOT:
            del container[key]
        case 3 if isinstance(container, dict) and key != ROOT:
            container[_misspelt(rng, str(key))] = container.pop(key)
        case 4 if isinstance(container, list) and key != ROOT:
            container.insert(rng.randrange(len(container) + 1), copy.deepcopy(value))
        case 5:
            container[key] = copy.deepcopy(rng.choice(values))
        case 6:
            container[key] = rng.choice(([], {}, [value], {"type": value}, {str(key): value}))
        case 7 if isinstance(value, dict):
            value[rng.choice(("type", "x", "units", "layers", "__init__"))] = rng.choice(TEXTS)
        case 8:
            for _ in range(rng.choice((1, 3, 120))):
                container[key] = [container[key]]
        case _ if isinstance(value, int | float) and not isinstance(value, bool):
            container[key] = value * rng.choice((-1, 0, 2, 3, 10, 1e6, 1.5))
        case _ if isinstance(value, str):
            container[key] = rng.choice(NAMES)


def _items(root: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the container and key of each value of a tree."""
    keys = range(len(root)) if isinstance(root, list) else list(root)
    for key in keys:
        yield root, key
        if isinstance(root[key], list | dict):
            yield from _items(root[key])


def _misspelt(rng: Random, text: str) -> str:
    index = rng.randrange(len(text) + 1)
    return text[:index] + rng.choice(("x", "_", " ", "é")) + text[index + 1 :]


def text_of(rng: Random, text: str) -> str:
    """Return text with some JSON tokens inserted and some characters repeated or removed."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        start, size = rng.randrange(len(text) + 1), rng.choice((1, 1, 5, 40))
        match rng.randrange(4):
            case 0:
                text = text[:start] + rng.choice(TOKENS) + text[start:]
            case 1:
                text = text[:start] + text[start + size :]
            case 2:
                text = text[:start] + text[start : start + size] * 2 + text[start + size :]
            case 3:
                text = text[:start] + rng.choice(TOKENS) + text[start + size :]
    return text


def dumps(value: Any, rng: Random, change: Callable[[Random, str], str] = text_of) -> str:
    """Return a tree as JSON, with its text mutated too in a fifth of the cases."""
    text = json.dumps(value)
    return change(rng, text) if rng.random() < 1 / 5 else text
