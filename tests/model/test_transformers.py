"""Transformers in specs: an encoder and a decoder with an embedding that is also the output."""

import numpy as np
import pytest

import nnreg
from nnreg import SpecError

WORDS = [
    {"type": "embedding", "vocabulary": 6, "units": 4, "inputs": "source", "name": "words"},
    {"type": "transformer_encoder", "heads": 2, "rotary": 100, "name": "memory"},
    {"use": "words", "inputs": "so_far", "name": "written"},
    {"type": "transformer_decoder", "heads": 2, "inputs": ["written", "memory"], "name": "state"},
    {"type": "multi_head_attention", "heads": 2, "inputs": ["state", "memory"]},
    {"type": "grouped_query_attention", "heads": 2, "key_value_heads": 1, "causal": True},
]
TIED = [{"use": "words", "transposed": True}, {"type": "activation", "activation": "softmax"}]


def spec(layers):
    return {
        "model": {"layers": layers},
        "loss": "cross_entropy",
        "optimizer": {"type": "adam", "learning_rate": 0.02},
        "train": {"epochs": 2, "batch_size": 8},
    }


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 6, 1 + index % 4) for index in range(16)]
    return {"source": rows, "so_far": rows}, rows


def test_an_encoder_and_a_decoder_train_on_sequences_of_different_lengths(data, tmp_path):
    model = nnreg.run(spec([*WORDS, *TIED]), data=data)
    assert model.history[-1]["loss"] < model.history[0]["loss"]
    names = set(model.network.parameters)
    assert {"layers/words/weight", "layers/state/cross_attention/key_weight"} <= names
    assert not {name for name in names if name.startswith("layers/6")}
    nnreg.save(model, tmp_path / "model.h5")
    again = nnreg.load(tmp_path / "model.h5")
    for one, other in zip(model.predict(data[0]), again.predict(data[0]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_activation_with_parameters_is_refused_in_a_block(data):
    layers = [*WORDS, *TIED]
    layers[1] = layers[1] | {"activation": "prelu"}
    with pytest.raises(SpecError, match="TransformerEncoder does not support"):
        nnreg.run(spec(layers), data=data)
