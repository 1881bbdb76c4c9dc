"""A component's docstring: prose, its formula, and one line per option, array and learned value."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

Lines: TypeAlias = tuple[tuple[str, str], ...]
"""The name and the text of each line of a block."""

LINE = r" {4}(\w+): (.+\n(?: {5,}\S.*\n)*)"
"""A line of a block, and what continues it, indented further."""

BLOCK = re.compile(rf"^(Options|Parameters|Buffers|Learned):\n((?:{LINE})+)(?! )", re.MULTILINE)
"""A block. Text of another form below such a heading is prose."""


@dataclass(frozen=True)
class Docstring:
    """The prose without the blocks, and the lines of these."""

    prose: str
    options: Lines
    parameters: Lines
    buffers: Lines
    learned: Lines

    @property
    def summary(self) -> str:
        """The first line."""
        return self.prose.partition("\n")[0]

    @property
    def formula(self) -> str:
        """The first or second paragraph, whichever has a formula first; empty if neither has."""
        paragraphs = self.prose.split("\n\n")[:2]
        return next((text for text in paragraphs if re.search(r" [=←~] ", text)), "")


def parse_docstring(text: str | None) -> Docstring:
    """Parse a docstring, with or without blocks."""
    clean = inspect.cleandoc(text or "") + "\n"
    lines: dict[str, Lines] = {"Options": (), "Parameters": (), "Buffers": (), "Learned": ()}
    for heading, body, *_ in BLOCK.findall(clean):
        found = re.findall(LINE, body)
        lines[heading] += tuple((name, " ".join(rest.split())) for name, rest in found)
    prose = re.sub(r"\n{3,}", "\n\n", BLOCK.sub("", clean)).strip()
    return Docstring(prose, *lines.values())


def class_docstring(cls: type) -> Docstring:
    """Parse the docstring of a class, whose blocks continue those of its base classes."""
    found = [parse_docstring(vars(base).get("__doc__")) for base in cls.__mro__]
    return Docstring(
        found[0].prose,
        _merged(doc.options for doc in found),
        _merged(doc.parameters for doc in found),
        _merged(doc.buffers for doc in found),
        _merged(doc.learned for doc in found),
    )


def _merged(blocks: Iterable[Lines]) -> Lines:
    """Return the lines of all blocks; of lines with the same name, the first."""
    lines: dict[str, str] = {}
    for block in blocks:
        lines = {**dict(block), **lines}
    return tuple(lines.items())
