"""Helpers that run a proposed spec, and that make columns to propose one for."""

from pathlib import Path

import numpy as np

import nnreg
from nnreg import propose
from nnreg.spec.document import read_spec


def tried(file, target=None):
    """Propose a spec, read its text from a file, and train two members of it for two epochs."""
    proposal = propose(file, target)
    Path("spec.json").write_text(proposal.text())
    assert read_spec("spec.json").tree == proposal.tree
    fewer = ["model.members=2"] if "members" in proposal.tree["model"] else []
    model = nnreg.run(read_spec("spec.json", ["train.epochs=2", *fewer]))
    assert len(model.history) == 2
    return proposal


def rng(seed=0):
    return np.random.default_rng(seed)


def repeated(count, *categories):
    return [categories[i % len(categories)] for i in range(count)]
