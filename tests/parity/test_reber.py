"""Words of the Reber grammar by a bidirectional GRU: its data, resuming, and beside PyTorch."""

import runpy

import numpy as np
import pytest

from nnreg.network.parameters import views
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from tests.helpers.paths import MODELS
from tests.helpers.resuming import require_identical_bits

SPEC = MODELS / "reber.json"


@pytest.fixture(scope="module")
def generator():
    return runpy.run_path(str(MODELS / "make_data.py"))


def test_the_file_has_words_of_which_half_are_not_of_the_grammar(generator):
    data = np.load(MODELS / "reber.npz")
    texts = ["".join("_BTPSXVE"[letter] for letter in row if letter) for row in data["letters"]]
    assert len(set(texts)) == 2400
    found = ["yes" if generator["is_reber_word"](text) else "no" for text in texts]
    assert found == data["valid"].tolist()
    assert found.count("yes") == 1200


def test_a_word_is_of_the_grammar_only_with_the_same_letter_at_both_ends(generator):
    is_word = generator["is_reber_word"]
    assert is_word("BTBTXSETE")
    assert not any(map(is_word, ["BTBTXSEPE", "BTBTXXETE", "BTBTXSETEE", "BTBTXSTE", "", "BT"]))


@pytest.mark.slow
def test_the_file_is_that_of_the_generator(generator, tmp_path, monkeypatch):
    monkeypatch.setitem(generator["reber"].__globals__, "HERE", tmp_path)
    generator["reber"]()
    ours, drawn = np.load(MODELS / "reber.npz"), np.load(tmp_path / "reber.npz")
    for name in ("letters", "valid"):
        np.testing.assert_array_equal(drawn[name], ours[name])


@pytest.mark.slow
def test_it_resumes_bit_identically(tmp_path):
    require_identical_bits(SPEC, tmp_path)


class Peer:
    """The network in PyTorch, with the parameters of ours."""

    def __init__(self, torch, parameters):
        self.torch = torch
        self.p = {
            name.removeprefix("layers/"): torch.tensor(values.copy(), requires_grad=True)
            for name, values in parameters.items()
        }

    def __call__(self, letters, lengths):
        torch, p = self.torch, self.p
        x = p["0/weight"][torch.as_tensor(letters).long()]
        units = len(p["1/forward/recurrent"])
        module = torch.nn.GRU(x.shape[-1], units, batch_first=True, bidirectional=True).double()
        weights = {}
        for direction, suffix in (("forward", "l0"), ("backward", "l0_reverse")):
            own = {name: p[f"1/{direction}/{name}"] for name in ("weight", "recurrent", "bias")}
            candidate = p[f"1/{direction}/recurrent_bias"]
            bias = torch.cat([torch.zeros_like(own["bias"])[:-units], candidate])
            weights |= {
                f"weight_ih_{suffix}": own["weight"].T,
                f"weight_hh_{suffix}": own["recurrent"].T,
                f"bias_ih_{suffix}": own["bias"],
                f"bias_hh_{suffix}": bias,
            }
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            x, lengths, batch_first=True, enforce_sorted=False
        )
        _, last = torch.func.functional_call(module, weights, (packed,))
        return torch.cat(tuple(last), -1) @ p["2/weight"] + p["2/bias"]


def of_double():
    return prepare_from_spec(read_spec(SPEC, overrides=['model.dtype="float64"']))


@pytest.mark.verify
def test_its_loss_and_gradients_are_those_of_pytorch(peer):
    torch, prepared = peer("torch"), of_double()
    model, x = prepared.model, prepared.train.x[:100]
    classes = prepared.train.raw_targets[:100]
    network = model.network
    gradient = np.zeros_like(network.vector)
    context = network.context(network.workspace(reuse=False), gradient, training=True)
    z, backward = network.forward(x, context)
    other = Peer(torch, model.parameters)
    expected = other(x.values, x.lengths)
    np.testing.assert_allclose(z, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    logits = torch.tensor(z, requires_grad=True)
    target = torch.tensor(classes)
    torch.nn.functional.cross_entropy(logits, target).backward()
    backward(logits.grad.numpy())
    torch.nn.functional.cross_entropy(expected, target).backward()
    for name, found in views(gradient, network.params).items():
        theirs = other.p[name.removeprefix("layers/")].grad.numpy()
        np.testing.assert_allclose(found, theirs, rtol=1e-10, atol=1e-12)
