"""The networks of the how-to on graphs, with their data."""

import numpy as np

from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from tests.helpers.doc_runner import Follower, blocks
from tests.helpers.paths import ROOT

PAGE = ROOT / "docs/howto/graphs.md"
RESULTS = {
    "skip": ("r2", 0.95),
    "houses": ("r2", 0.85),
    "flats": ("style_accuracy", 0.93),
    "bottleneck": ("loss", 0.1),
    "code": ("again_loss", 0.02),
    "same": ("accuracy", 0.93),
    "tied": ("accuracy", 0.85),
    "reverse": ("accuracy", 0.95),
    "unet": ("accuracy", 0.96),
    "films": ("r2", 0.9),
    "repeated": ("loss", 0.1),
}
"""For each spec of the page, what it is to reach on its test rows: a loss is to be below it."""


def write_examples(directory):
    """Write the data and the specs of the page."""
    follower = Follower(directory)
    for block in blocks(PAGE.read_text()):
        writes_data = block.language == "python" and (
            "np.savez(" in block.code or "open(" in block.code
        )
        if writes_data or block.note.endswith(".json"):
            follower.follow(block)


def prepared(directory, name):
    """Return a network in float64, away from its first weights, and eight training examples."""
    document = read_spec(directory / f"{name}.json", ["model.dtype=float64"])
    run = prepare_from_spec(document)
    vector = run.model.network.vector
    vector += 0.1 * np.random.default_rng(1).normal(size=vector.size)
    return run.model, run.train.x[:8], run.train.targets[:8]


def loss_and_gradient(model, x, targets):
    """Return the loss, as a model is evaluated, and the gradient of all parameters."""
    gradient = np.full_like(model.network.vector, np.nan)
    context = model.network.context(model.network.workspace(reuse=False), gradient)
    z, backward = model.network.forward(x, context)
    loss, loss_backward = model.evaluation.loss_of(z, targets, context)
    backward(loss_backward())
    return loss, gradient
