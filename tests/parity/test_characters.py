"""Text by a transformer, character by character: beside its grammar, resumed, beside PyTorch."""

import json
import math

import numpy as np
import pytest

import nnreg
from benchmarks.tasks import characters as peer_task
from benchmarks.tasks import prepare
from models.generators import characters as generator
from nnreg.network.parameters import views
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from tests.helpers.paths import MODELS
from tests.helpers.resuming import require_identical_bits

SPEC = MODELS / "characters.json"
MOST = 1.15
"""How many times as many bits as the grammar the network may need."""


def bits_of_the_grammar(examples):
    """Return how many bits per character the grammar needs for the same predictions."""
    return generator.bits(np.hstack([examples.x, examples.targets[:, -1:]]).astype(int))


def test_the_file_is_that_of_the_generator():
    drawn, ours = generator.characters(), np.load(MODELS / "characters.npz")
    assert drawn.keys() == set(ours.files)
    for name, values in drawn.items():
        np.testing.assert_array_equal(values, ours[name])
        assert values.dtype == ours[name].dtype


def test_the_classes_are_in_the_order_of_the_vocabulary():
    """The tied output needs that."""
    ours = np.load(MODELS / "characters.npz")
    assert "".join(np.unique(ours["following"])) == generator.ALPHABET
    following = np.searchsorted(list(generator.ALPHABET), ours["following"])
    np.testing.assert_array_equal(following.ravel()[:-1], ours["characters"].ravel()[1:])


def test_the_bits_of_the_grammar_are_those_of_its_choices():
    """From the start of a sentence on, the choices are known as soon as the text is."""
    text = "._the_dog_sleeps._"
    window = np.array([[generator.ALPHABET.index(one) for one in text]])
    given_the_first = generator.bits(window) * (len(text) - 1)
    choices = [len(generator.choices(state)) for state in ("start", "one", "one verb", "end")]
    # of the choices of "end", three are a full stop; "the" begins two of them, in both numbers
    likelihood = 2 / choices[0] / 2 * (1 / choices[1] / choices[2]) * 3 / choices[3]
    assert given_the_first == pytest.approx(-math.log2(likelihood))


@pytest.mark.slow
def test_it_needs_hardly_more_bits_than_the_grammar(tmp_path):
    nnreg.run(SPEC, out=tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    least = bits_of_the_grammar(prepare_from_spec(read_spec(SPEC)).test)
    assert least < summary["test"]["loss"] / math.log(2) < MOST * least
    assert summary["test"]["accuracy"] > 0.8


@pytest.mark.slow
def test_it_resumes_bit_identically(tmp_path):
    require_identical_bits(SPEC, tmp_path, "data.split.test=0.8", "schedule=inverse_sqrt")


@pytest.mark.slow
@pytest.mark.verify
def test_pytorch_needs_as_many_bits(torch):
    data = prepare("characters")
    found = peer_task.train(torch, data, epochs=data.epochs, seed=0)
    least = bits_of_the_grammar(data.prepared.test)
    assert least < found["loss"] / math.log(2) < MOST * least


NAMES = {
    "attention/weight": "attention.weight",
    "attention/bias": "attention.bias",
    "attention/output_weight": "joined.weight",
    "attention/output_bias": "joined.bias",
    "attention_norm/gamma": "attention_norm.weight",
    "attention_norm/beta": "attention_norm.bias",
    "hidden/weight": "hidden.weight",
    "hidden/bias": "hidden.bias",
    "output/weight": "output.weight",
    "output/bias": "output.bias",
    "output_norm/gamma": "output_norm.weight",
    "output_norm/beta": "output_norm.bias",
}
"""The parameters of a block of ours, and of PyTorch's."""


def name_of_peer(name):
    if name == "layers/characters/weight":
        return "embedding.weight"
    _, _, block, _, _, own = name.split("/", 5)
    return f"blocks.{block}.{NAMES[own]}"


def of_peer(name, values):
    """Return a parameter as PyTorch has it: the weights of linear layers are transposed."""
    return values.T if values.ndim == 2 and "characters" not in name else values


@pytest.mark.verify
def test_its_loss_and_gradients_are_those_of_pytorch(torch):
    prepared = prepare_from_spec(read_spec(SPEC, overrides=['model.dtype="float64"']))
    model, x = prepared.model, prepared.train.x[:20]
    targets = torch.tensor(prepared.train.targets[:20])
    other = peer_task.network(torch).double()
    other.load_state_dict({
        name_of_peer(name): torch.tensor(of_peer(name, values).copy())
        for name, values in model.parameters.items()
    })  # fmt: skip
    network = model.network
    gradient = np.zeros_like(network.vector)
    context = network.context(network.workspace(reuse=False), gradient, training=True)
    z, backward = network.forward(x, context)
    expected = other(torch.tensor(x).long())
    np.testing.assert_allclose(z, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    logits = torch.tensor(z, requires_grad=True)
    peer_task.cross_entropy(torch, logits, targets).backward()
    backward(logits.grad.numpy())
    peer_task.cross_entropy(torch, expected, targets).backward()
    theirs = {name: one.grad.numpy() for name, one in other.named_parameters()}
    for name, found in views(gradient, network.params).items():
        np.testing.assert_allclose(
            of_peer(name, found), theirs[name_of_peer(name)], rtol=1e-8, atol=1e-11
        )
