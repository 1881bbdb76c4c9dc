"""How an ONNX graph reads several labels in a text: by a separator, or in a JSON list."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from nnreg.builtin.exporters.onnx_graph import Graph
from nnreg.builtin.exporters.onnx_patterns import literal, white_space
from nnreg.operations.operation import Operation

BLANK = r"[\t\n\r ]*"
"""White space between the items of a list."""

ESCAPED = {one: one for one in '"\\/'} | dict(zip("\b\f\n\r\t", "bfnrt", strict=True))
"""What follows a backslash in JSON, for the character that is meant."""

TRUTH_VALUES = {"True": "true", "False": "false"}
"""The truth values of JSON, by their texts in Python."""

INTEGER = "-?(?:0|[1-9][0-9]{0,99})"
TEXT = r'"(?:[^"\\,\x{0}-\x{1f}]|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4})*"'
"""A text without commas, at which a list is split."""

ITEM = f"(?:{TEXT}|{INTEGER}|true|false|null)"
LIST = rf"\[{BLANK}(?:{ITEM}(?:{BLANK},{BLANK}{ITEM})*{BLANK})?\]{BLANK}"
"""A list whose items are texts without commas, whole numbers and truth values."""

LONGEST = 10_000
"""The characters of labels in one expression, as RE2 limits the memory of each."""


def write(graph: Graph, one: Operation) -> str:
    """Add the nodes that count labels; return the name of the counts `(rows, labels + 1)`."""
    labels, text = one.attributes["labels"], graph.value(one.inputs[0])
    empty = graph.tensor("", object)
    is_list = graph.node("RegexFullMatch", text, pattern=r"(?s)\[.*")
    cell = graph.node("Where", is_list, empty, text)
    json_list = graph.node("Where", is_list, text, empty)
    counts = graph.node(
        "Add",
        _counts(graph, cell, one.attributes["separator"], labels, _in_cell),
        _counts(graph, json_list, ",", labels, _in_list),
    )
    right = graph.node("RegexFullMatch", json_list, pattern=f"(?:{LIST})?")
    valid = graph.node("Unsqueeze", right, graph.tensor([1], np.int64))
    wrong = np.zeros(len(labels) + 1)
    wrong[-1] = np.nan
    return graph.node("Where", valid, counts, graph.tensor(wrong))


def _counts(
    graph: Graph,
    text: str,
    separator: str,
    labels: Sequence[str],
    expression: Callable[[Sequence[str]], str],
) -> str:
    """Return how many parts of a text are each label, and how many are others.

    `expression` returns that of some labels, and without labels that of what is not counted. A
    label is found by its number, from 1: one expression tells whether the number of a part has 1
    in its binary form, another whether it has 2, and so on.
    """
    names = [graph.new(), graph.new()]
    parts = graph.node("StringSplit", text, outputs=names, delimiter=separator)
    parts = graph.node("Unsqueeze", parts, graph.tensor([2], np.int64))
    matches, weights = [graph.node("RegexFullMatch", parts, pattern=expression(()))], [-1.0]
    for group in _groups(labels):
        for bit in range(len(labels).bit_length()):
            if own := [label for number, label in group if number >> bit & 1]:
                matches.append(graph.node("RegexFullMatch", parts, pattern=expression(own)))
                weights.append(float(1 << bit))
    found = graph.node("Concat", *matches, axis=2)
    found = graph.node("Cast", found, to=graph.type(np.zeros(0)))
    number = graph.node("MatMul", found, graph.tensor(np.array(weights)[:, None]))
    every = graph.tensor(np.array([*range(1, len(labels) + 1), 0], np.float64))
    counted = graph.node("Cast", graph.node("Equal", number, every), to=graph.type(np.zeros(0)))
    return graph.node("ReduceSum", counted, graph.tensor([1], np.int64), keepdims=0)


def _groups(labels: Sequence[str]) -> list[list[tuple[int, str]]]:
    """Return the labels with their numbers, as many together as one expression may have."""
    groups, length = list[list[tuple[int, str]]](), LONGEST
    for number, label in enumerate(labels, 1):
        length += len(_json(label))
        if length > LONGEST:
            groups.append([])
            length = len(_json(label))
        groups[-1].append((number, label))
    return groups


def _in_cell(labels: Sequence[str]) -> str:
    """Return the expression of labels between separators; of nothing, without labels."""
    space = f"[{''.join(map(literal, white_space()))}]*"
    return f"{space}(?:{'|'.join(map(literal, labels))}){space}"


def _in_list(labels: Sequence[str]) -> str:
    """Return the expression of labels between commas; without labels, of lists that have none."""
    space, none = f"(?:{'|'.join(map(_character, white_space()))})", _json("None")
    if not labels:
        return _between(["", "null", f'"(?:{none}|{space}*)"'])
    plain = "|".join(_json(label) for label in labels if label != "None")
    forms = [f'"{space}*(?:{plain}){space}*"'] if plain else []
    for label in labels:
        if label == "None":  # without white space it is ignored
            forms.append(f'"(?:{space}+{none}{space}*|{none}{space}+)"')
        elif label in TRUTH_VALUES:
            forms.append(TRUTH_VALUES[label])
        elif re.fullmatch(INTEGER, label) and label != "-0":
            forms.append("-?0" if label == "0" else label)
    return _between(forms)


def _between(forms: Sequence[str]) -> str:
    """Return the expression of one of the parts of a list between commas."""
    return rf"\[?{BLANK}(?:{'|'.join(forms)}){BLANK}\]?{BLANK}"


def _json(text: str) -> str:
    """Return the expression of a text in JSON, in which each character may be an escape."""
    return "".join(map(_character, text))


def _character(one: str) -> str:
    """Return the expression of a character in JSON."""
    units = one.encode("utf-16-be", "surrogatepass").hex()
    forms = ["".join(rf"\\u(?i:{units[at : at + 4]})" for at in range(0, len(units), 4))]
    if one in ESCAPED:
        forms.append(rf"\\{literal(ESCAPED[one])}")
    if one >= " " and one not in '"\\,':
        forms.append(literal(one))
    return f"(?:{'|'.join(forms)})"
