"""Comparisons with other libraries, which are recorded for docs/reference/verified.md."""

from dataclasses import dataclass, field

import numpy as np

from nnreg.registry.registry import installed

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 5)) * 3
SHARES = RNG.uniform(0.05, 0.95, X.shape)

FORMULA = "formula"
"""The peer of a component that no library has, or not with these options."""


@dataclass
class Record:
    """The peers of a component, and its largest differences from them."""

    peers: set = field(default_factory=set)
    values: float = 0.0
    gradients: float | None = None
    drawn: bool = False


RECORDS: dict[tuple[str, str], Record] = {}
"""What was compared in this process, by kind and name of the component."""


def peer(name):
    """Mark a function that computes what a component should with the peer that it calls."""

    def mark(compute):
        compute.peer = name
        return compute

    return mark


def compare(component, peer, values, gradients=(), *, rtol=1e-10, atol=1e-12, drawn=False):
    """Compare pairs of arrays, of which ours is the first, and record the largest difference.

    `peer` is the full name of a function or class of another library, or a marked function.
    Differences over configurations that Hypothesis draws are not recorded: other versions of it
    draw others.
    """
    cls = component if isinstance(component, type) else type(component)
    record = RECORDS.setdefault((cls.kind, name_of(cls)), Record())
    for found, expected in (*values, *gradients):
        np.testing.assert_allclose(found, array(expected), rtol=rtol, atol=atol)
    record.drawn |= drawn
    if drawn:
        return
    record.peers.add(getattr(peer, "peer", FORMULA) if callable(peer) else peer)
    record.values = max(record.values, largest(values))
    if gradients:
        record.gradients = max(record.gradients or 0.0, largest(gradients))


def name_of(component):
    """Return the name of a built-in component, or of its class."""
    cls = component if isinstance(component, type) else type(component)
    entry = installed().entry_of_class(cls)
    assert entry.plugin == "nnreg"
    return entry.name


def array(values):
    """Return an array of NumPy or a tensor of PyTorch as an array."""
    return values.detach().numpy() if hasattr(values, "detach") else np.asarray(values)


def largest(pairs):
    """Return the largest difference, relative where a value is beyond 1."""
    differences = [0.0]
    for found, expected in pairs:
        expected = array(expected)
        with np.errstate(invalid="ignore"):  # of two infinities
            each = np.abs(found - expected) / np.maximum(1, np.abs(expected))
        differences.append(np.max(np.nan_to_num(each), initial=0.0))
    return float(max(differences))


def close(found, expected):
    np.testing.assert_allclose(found, array(expected), rtol=1e-6, atol=1e-9)


def require_all(kind, compared, families=None):
    """Require that a table has every built-in component of a kind, or of these modules."""
    own = [e for e in installed() if e.kind == kind and e.plugin == "nnreg"]
    if families:
        own = [e for e in own if e.cls.__module__.rpartition(".")[2] in families]
    assert {e.name for e in own} == set(compared)
