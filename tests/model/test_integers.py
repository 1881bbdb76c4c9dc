"""Layers that take integers get those of the input as they are, or are refused."""

from dataclasses import dataclass
from unittest import mock

import numpy as np
import pytest

import nnreg
from nnreg import DataError, Layer, SpecError
from nnreg.builtin.layers.embedding import Embedding
from nnreg.interfaces.passes import chain
from tests.helpers.specs import regressor

EMBEDDING = {"type": "embedding", "vocabulary": 9, "units": 2}
DENSE = {"type": "dense", "units": 1}
TOKENS = np.random.default_rng(0).integers(0, 9, (30, 3, 2))
SUMS = TOKENS.sum(axis=(1, 2)).astype(float)


def spec(*layers, **changes):
    return regressor(model={"layers": list(layers)}, **changes)


@dataclass(frozen=True)
class Halve(Layer):
    """y = x // 2, which does not declare that it keeps integers"""

    def forward(self, x, context):
        return x // 2, lambda dy: dy


@dataclass(frozen=True)
class HalveIntegers(Halve):
    """y = x // 2"""

    keeps_integers = True


@dataclass(frozen=True)
class Lookup(Layer):
    """y = weight[|x|], with a nested embedding whose input it does not declare"""

    def build(self, shape, builder):
        return builder.layer("table", Embedding(9, 2), shape)

    def forward(self, x, context):
        table = context.children["table"]
        return chain([(Embedding(9, 2), table)], np.abs(x).astype(int))


def problem(*layers):
    with pytest.raises(SpecError) as caught:
        nnreg.build(spec(*layers), data=(TOKENS, SUMS))
    (found,) = caught.value.problems
    return found.path, found.message


def looked_up(model, tokens):
    """Return the outputs of an embedding, a flatten and a dense layer with these parameters."""
    table, weight, bias = (values for _, values in sorted(model.parameters.items(), key=by_layer))
    rows = table[tokens.reshape(len(tokens), -1)].reshape(len(tokens), -1)
    return (rows @ weight + bias)[:, 0]


def by_layer(pair):
    layer, name = pair[0].rsplit("/", 1)
    return layer, name == "bias"


def test_an_embedding_after_a_flatten_looks_up_the_tokens_of_the_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("tokens.npz", tokens=TOKENS, y=SUMS)
    data = {"source": "npz", "path": "tokens.npz", "target": "y"}
    model = nnreg.build(spec("flatten", EMBEDDING, "flatten", DENSE, data=data))
    np.testing.assert_allclose(model.predict(TOKENS), looked_up(model, TOKENS), rtol=1e-12)
    nnreg.save(model, "model.h5")
    assert np.array_equal(nnreg.load("model.h5").predict(TOKENS), model.predict(TOKENS))


def test_tokens_in_columns_are_not_scaled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [f"{a},{b},{y}" for (a, b), y in zip(TOKENS[:, 0], SUMS, strict=True)]
    (tmp_path / "tokens.csv").write_text("\n".join(["a,b,y", *lines]))
    data = {"source": "csv", "path": "tokens.csv", "target": "y", "scaling": "standard"}
    model = nnreg.build(spec(EMBEDDING, "flatten", DENSE, data=data))
    rows = {"a": TOKENS[:, 0, 0], "b": TOKENS[:, 0, 1]}
    np.testing.assert_allclose(model.predict(rows), looked_up(model, TOKENS[:, 0]), rtol=1e-12)


@pytest.mark.parametrize("wrong", [1.9999, -0.9, 4.9, 1e30])
def test_a_fraction_is_not_a_token(wrong):
    model = nnreg.build(spec(EMBEDDING, "flatten", DENSE), data=(TOKENS, SUMS))
    tokens = TOKENS.astype(float)
    tokens[3, 1, 0] = wrong
    message = f"row 3, column 'x': found {wrong:.16g}, but the network takes integers"
    with pytest.raises(DataError, match=message.replace("+", r"\+")):
        model.predict(tokens)


def test_a_fraction_in_a_column_is_reported_with_the_column():
    rows, y = {"a": [1, 2, 0], "b": [0, 1, 2]}, [1.0, 2.0, 3.0]
    model = nnreg.build(spec(EMBEDDING, "flatten", DENSE), data=(rows, y))
    with pytest.raises(DataError, match=r"row 2, column 'b': found 2\.5, but the network takes"):
        model.predict({**rows, "b": [0, 1, 2.5]})


def test_a_fraction_beyond_the_first_chunk_is_reported_with_its_row(monkeypatch):
    monkeypatch.setattr("nnreg.data.preprocessing.BLOCK", 12)
    model = nnreg.build(spec(EMBEDDING, "flatten", DENSE), data=(TOKENS, SUMS))
    tokens = TOKENS.astype(float)
    tokens[25, 0, 0] = 0.5
    with pytest.raises(DataError, match=r"row 25, column 'x': found 0\.5, but the network takes"):
        model.predict(tokens)


def test_tokens_outside_the_vocabulary_are_refused_after_a_flatten_too():
    model = nnreg.build(spec("flatten", EMBEDDING, "flatten", DENSE), data=(TOKENS, SUMS))
    with pytest.raises(DataError, match="embedding takes integers from 0 to 8"):
        model.predict(TOKENS + 1)


@pytest.mark.parametrize("row", [0, 17, len(TOKENS) - 1])
def test_the_first_row_with_a_token_outside_the_vocabulary_is_named(row):
    model = nnreg.build(spec(EMBEDDING, "flatten", DENSE), data=(TOKENS, SUMS))
    tokens = TOKENS.copy()
    tokens[row:] += 9
    wrong = f"from {tokens[row].min()} to {tokens[row].max()}"
    with pytest.raises(
        DataError, match=rf"row {row}, column 'x': embedding .* has values {wrong};"
    ):
        model.predict(tokens)


def test_the_first_such_row_of_several_columns_is_named():
    rows = {"a": [0, 1, 2], "b": [0, 1, 2]}
    model = nnreg.build(spec(EMBEDDING, "flatten", DENSE), data=(rows, [1.0, 2.0, 3.0]))
    with pytest.raises(DataError, match=r", row 1: embedding takes integers from 0 to 8, but"):
        model.predict({"a": [0, 9, 2], "b": [0, 1, 9]})


def test_a_layer_that_refuses_rows_together_names_none():
    model = nnreg.build(spec(EMBEDDING, "flatten", DENSE), data=(TOKENS, SUMS))

    def check(x):
        if len(x) > 2:
            raise DataError("takes one or two rows")

    together = mock.patch.object(model.network, "check_input", check)
    with together, pytest.raises(DataError, match=r"^takes one or two rows$"):
        model.predict(TOKENS)


def test_a_categorical_column_is_not_looked_up_as_its_one_hot_encoding():
    rows = {"word": np.array(["a", "b", "c"], object)}
    with pytest.raises(DataError, match="column 'word' is categorical and would be one-hot"):
        nnreg.build(spec(EMBEDDING, "flatten", DENSE), data=(rows, [1.0, 2.0, 3.0]))


@pytest.mark.parametrize(
    ("layers", "path"),
    [
        ([DENSE, EMBEDDING], "$.model.layers[1]"),
        ([{"type": "dropout", "rate": 0.1}, EMBEDDING], "$.model.layers[1]"),
        ([EMBEDDING, "flatten", {**EMBEDDING, "units": 3}], "$.model.layers[2]"),
        (["flatten", {"type": "residual", "layers": [EMBEDDING, "flatten", {**DENSE, "units": 6}]}],
         "$.model.layers[1].layers[0]"),
    ],
)  # fmt: skip
def test_an_embedding_of_other_numbers_is_refused(layers, path):
    assert problem(*layers, "flatten", DENSE) == (
        path,
        "this layer takes integers, such as token indices, but its input is other numbers; make "
        "it the first layer, or the first after layers such as flatten",
    )


def test_a_layer_that_declares_it_passes_integers_on(registering):
    nnreg.register("halve_integers", HalveIntegers)
    layers = "halve_integers", {**EMBEDDING, "vocabulary": 5}, "flatten", DENSE
    model = nnreg.build(spec(*layers), data=(TOKENS, SUMS))
    np.testing.assert_allclose(model.predict(TOKENS), looked_up(model, TOKENS // 2), rtol=1e-12)


def test_what_a_plugin_does_not_declare_is_accepted(registering):
    nnreg.register("halve", Halve)
    nnreg.register("lookup", Lookup)
    for first in (["halve", EMBEDDING], ["lookup"]):
        model = nnreg.build(spec(*first, "flatten", DENSE), data=(TOKENS, SUMS))
        tokens = TOKENS // 2 if first[0] == "halve" else TOKENS
        np.testing.assert_allclose(model.predict(TOKENS), looked_up(model, tokens), rtol=1e-12)
