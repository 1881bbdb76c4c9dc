"""docs/reference/verified.md: what was compared, with what, and the largest differences."""

import math
import re

from nnreg.registry.registry import installed
from nnreg.spec.docstrings import class_docstring
from tests.helpers.paths import ROOT
from tests.parity.comparison import FORMULA

CHECK = "tests/parity/test_verified_page.py::test_the_page_is_what_this_run_compared"
"""The test that runs after all others, if all are run in this process."""

PAGE = ROOT / "docs/reference/verified.md"

HEADINGS = {
    "activation": "Activations",
    "layer": "Layers",
    "loss": "Losses",
    "metric": "Metrics",
    "optimizer": "Optimizers",
    "schedule": "Schedules",
    "initializer": "Initializers",
    "regularizer": "Regularizers",
    "constraint": "Constraints",
    "augmentation": "Augmentations",
    "encoder": "Encoders",
    "source": "Sources",
}

ALONE = {
    ("optimizer", "lookahead"): "in no library; beside a plain loop in the tests of optimizers",
    ("optimizer", "sam"): "in no library; beside a plain loop in the tests of optimizers",
    ("optimizer", "schedule_free_adamw"): (
        "Keras 3.15 computes x from the z of the next step; beside a plain loop in the tests of "
        "optimizers"
    ),
    ("encoder", "tokens"): (
        "counts and indices; beside a plain loop, and beside tokenizers where it is installed"
    ),
    **{
        ("source", name): "reads a file and computes nothing"
        for name in (
            *("arrow", "csv", "excel", "hdf5", "idx", "images", "json_lines", "npz", "parquet"),
            *("sqlite", "tsv"),
        )
    },
}
"""The components that have no peer, with the reason."""

LESS_EXACT = {
    ("activation", "hard_sigmoid"): "PyTorch's slope is a constant in float32.",
    ("optimizer", "nadam"): "PyTorch keeps the product of the momenta in float32.",
}
"""Where a peer is the reason of a difference that is larger than others."""

MARGIN = 10
"""A difference is stated as at least this many times what it is: other processors differ."""

SMALLEST = -14
"""The smallest power of ten that is stated."""

HEAD = f"""# Verified components

Each built-in component is compared with the same one of PyTorch, Keras, scikit-learn or SciPy, in
float64: what it computes, and for layers, activations, losses and regularizers the gradients.
Optimizers make twenty steps. Where no library has a component, or not with some of its options, it
is compared with its formula, written out. Each difference is the largest of all cases, relative
where a value is beyond 1, as the power of ten that is at least {MARGIN} times as large.
An asterisk marks components that are also compared over options that Hypothesis draws, within 1e-6.

`python -m tests.parity` writes this page, with the extra `verify` installed; each run of
`nox -s verify` fails if a component, its peer or what differs is another one, or if a difference is
larger. What differs on purpose is quoted from the documentation of the component.
"""

TABLE = "| Component | Compared with | Values | Gradients | What differs |\n" + "| --- " * 5 + "|"
ROW = re.compile(r"^\| `(\w+)`[^|]* \| [^|]* \| (1e-\d+) \| (1e-\d+)? ?\| ", re.M)
LIBRARY = re.compile(r"\b(Keras|PyTorch|scikit-learn|SciPy)\b")
SAME = re.compile(r"As (in )?(PyTorch|Keras)( 3)?(('s)? and (PyTorch|Keras))?('s)?\.")


def built_in():
    """Return the kind and name of each built-in component, in the order of the page."""
    own = [(e.kind, e.name) for e in installed() if e.plugin == "nnreg" and e.kind in HEADINGS]
    return sorted(own, key=lambda one: (list(HEADINGS).index(one[0]), one[1]))


def write(records, stated=None):
    """Return the page of these records, with their own orders unless others are given."""
    stated = stated or {key: orders(record) for key, record in records.items()}
    parts = [HEAD]
    for kind, heading in HEADINGS.items():
        keys = [key for key in built_in() if key[0] == kind and key in records]
        if keys:
            rows = [row(*key, records[key], *stated[key]) for key in keys]
            parts.append("\n".join([f"## {heading}\n", TABLE, *rows]) + "\n")
    lines = [f"* {kind} `{name}`: {reason}" for (kind, name), reason in sorted(ALONE.items())]
    parts.append("\n".join(["## Without a peer\n", *lines]) + "\n")
    return "\n".join(parts)


def row(kind, name, record, values, gradients):
    peers = [f"`{one}`" for one in sorted(record.peers - {FORMULA})]
    peers += [FORMULA] * (FORMULA in record.peers)
    first = f"`{name}`" + " \\*" * record.drawn
    cells = [first, ", ".join(peers), values, gradients, differences(kind, name)]
    return f"| {' | '.join(cells)} |"


def orders(record):
    """Return the differences of values and gradients as the page states them."""
    return order(record.values), "" if record.gradients is None else order(record.gradients)


def order(difference):
    """Return a power of ten that is larger than a difference, also on other processors."""
    power = math.ceil(math.log10(difference * MARGIN)) if difference else SMALLEST
    return f"1e{max(power, SMALLEST)}"


def larger(records, stated):
    """Return the orders of the components that differ by more than is stated."""
    limits = {key: [float(one or 0) for one in pair] for key, pair in stated.items()}
    return {
        key: orders(record)
        for key, record in records.items()
        if record.values > limits[key][0] or (record.gradients or 0) > limits[key][1]
    }


def stated_on(text):
    """Return the orders that a page states, by kind and name."""
    found, kinds = {}, {heading: kind for kind, heading in HEADINGS.items()}
    for section in text.split("\n## ")[1:]:
        kind = kinds.get(section.partition("\n")[0])
        for name, values, gradients in ROW.findall(section):
            found[kind, name] = values, gradients
    return found


def differences(kind, name):
    """Return what the documentation of a component says beside other libraries."""
    doc = class_docstring(installed().find(kind, name).cls)
    text = [" ".join(part.split()) for part in doc.prose.split("\n\n")]
    found = [one for part in text for one in re.split(r"(?<=\.) (?=[A-Z`])", part)]
    found = [one for one in found if LIBRARY.search(one) and not SAME.fullmatch(one)]
    options = [f"`{option}`: {text}." for option, text in doc.options if LIBRARY.search(text)]
    exact = LESS_EXACT.get((kind, name), "")
    return escape(" ".join([*found, *options, exact]).strip())


def escape(text):
    """Escape text for a cell of a table, except for `code`."""
    parts = re.split(r"(`[^`]*`)", text)
    escaped = [re.sub(r"([\\*_<>\[\]$|#])", r"\\\1", part) for part in parts[::2]]
    parts[::2] = escaped
    return "".join(parts)
