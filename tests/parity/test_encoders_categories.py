"""Encoders of categories beside scikit-learn's and pandas', and their layers beside PyTorch's."""

import importlib
import math

import numpy as np
import pytest

from nnreg.builtin import encoders
from nnreg.builtin.activations import Identity, Relu
from nnreg.builtin.layers.embedding import ColumnEmbedding
from nnreg.builtin.layers.periodic_embedding import PeriodicEmbedding
from nnreg.interfaces.encoder import RawColumn
from nnreg.interfaces.features import Features
from nnreg.testing.layer_pass import LayerCase, Pass
from tests.parity.comparison import FORMULA, compare

pytestmark = pytest.mark.verify

RNG = np.random.default_rng(0)
KINDS = ["oak", "elm", "fir", "ash", "yew", "bay"]
WORDS = RNG.choice(KINDS, 60, p=[0.4, 0.25, 0.15, 0.1, 0.05, 0.05])
NEW = np.array(["yew", "oak", "pine", "elm", "bay"])


@pytest.fixture
def preprocessing(sklearn):
    return importlib.import_module("sklearn.preprocessing")


def column(values, target=None):
    return RawColumn.of(values, "text", target=target)


@pytest.mark.parametrize("max_categories", [None, 2])
@pytest.mark.parametrize("min_rows", [1, 5, 12])
def test_rare_categories_are_scikit_learns(preprocessing, min_rows, max_categories):
    """scikit-learn counts the column of all others among `max_categories`."""
    theirs = preprocessing.OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=min_rows, sparse_output=False,
        max_categories=None if max_categories is None else max_categories + 1,
    ).fit(WORDS[:, None])  # fmt: skip
    ours = encoders.Category(max_categories, "ignore", min_rows=min_rows).learn(column(WORDS))
    pairs = [(ours.encode(column(x)), theirs.transform(x[:, None])) for x in (WORDS, NEW)]
    compare(encoders.Category, "sklearn.preprocessing.OneHotEncoder", pairs)


def test_categories_are_the_dummies_of_pandas():
    pandas = pytest.importorskip("pandas")
    ours = encoders.Category().learn(column(WORDS)).encode(column(WORDS))
    theirs = pandas.get_dummies(pandas.Series(WORDS), dtype=float).to_numpy()
    compare(encoders.Category, "pandas.get_dummies", [(ours, theirs)])


def test_positions_are_scikit_learns(preprocessing):
    theirs = preprocessing.OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=6, encoded_missing_value=7
    ).fit(WORDS[:, None])
    ours = encoders.Index().learn(column(WORDS))
    pairs = [(ours.encode(column(x)), theirs.transform(x[:, None])[:, 0]) for x in (WORDS, NEW)]
    compare(encoders.Index, "sklearn.preprocessing.OrdinalEncoder", pairs)


def test_positions_of_rare_categories_are_scikit_learns(preprocessing):
    theirs = preprocessing.OrdinalEncoder(min_frequency=8).fit(WORDS[:, None])
    ours = encoders.Index(min_rows=8).learn(column(WORDS))
    pair = ours.encode(column(WORDS)), theirs.transform(WORDS[:, None])[:, 0]
    compare(encoders.Index, "sklearn.preprocessing.OrdinalEncoder", [pair])


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("size", [1, 7, 1024])
def test_hashed_categories_are_scikit_learns(sklearn, size, signed):
    theirs = importlib.import_module("sklearn.feature_extraction").FeatureHasher(
        size, input_type="string", alternate_sign=signed
    )
    texts = np.array([*KINDS, "a b", "π und ∑", *(f"value {k}" * (1 + k % 7) for k in range(200))])
    found = encoders.Hashed(size, signed).encode(column(texts))
    expected = theirs.transform([[text] for text in texts]).toarray()
    compare(encoders.Hashed, "sklearn.feature_extraction.FeatureHasher", [(found, expected)])


TARGETS = {
    "continuous": RNG.normal(3, 2, 60) + (WORDS == "oak"),
    "binary": RNG.integers(0, 2, 60),
    "multiclass": RNG.integers(0, 4, 60),
}


@pytest.mark.parametrize("smoothing", ["auto", 0.0, 5.0])
@pytest.mark.parametrize("kind", TARGETS)
def test_target_means_are_scikit_learns(preprocessing, kind, smoothing):
    target = TARGETS[kind]
    order, folds = np.random.default_rng(0).permutation(60), 4
    splits = [(np.setdiff1d(order, one), np.sort(one)) for one in np.array_split(order, folds)]
    theirs = preprocessing.TargetEncoder(smooth=smoothing, target_type=kind, cv=splits)
    of_training = theirs.fit_transform(WORDS[:, None], target)
    ours = encoders.TargetMean(smoothing, folds, "none").learn(column(WORDS, target))
    pairs = [
        (ours.encode_training(column(WORDS, target)), of_training),
        (ours.encode(column(NEW)), theirs.transform(NEW[:, None])),
    ]
    compare(encoders.TargetMean, "sklearn.preprocessing.TargetEncoder", pairs)


TABLE = np.array([[0.5, 1, 0, -1.25, 2], [2.0, 3, 1, 0.25, 0], [-0.75, 1, 0, 1.5, 1]])


class TablePass(Pass):
    """A layer on a table of a number, a position, another feature, a number and a position."""

    def declare(self, root, layer, size):
        root.input_features = {"input": Features((0, 3), {1: 4, 4: 3})}
        return root.chain([layer], size)


def test_vectors_of_categories_are_pytorchs(torch):
    tried = TablePass(LayerCase(ColumnEmbedding(5), TABLE))
    y, _ = tried.run()
    parts, gradients = [torch.tensor(TABLE[:, [0, 2, 3]])], []
    for number, place in enumerate((1, 4)):
        inner = tried.inner.children[f"columns/{number}"]
        theirs = torch.nn.Embedding.from_pretrained(
            torch.tensor(inner.params["weight"]), freeze=False
        )
        parts.append(theirs(torch.tensor(TABLE[:, place].astype(int))))
        gradients.append((inner.gradients["weight"], theirs.weight))
    whole = torch.cat(parts, dim=1)
    whole.backward(torch.tensor(tried.dy))
    slopes = [(ours, weight.grad) for ours, weight in gradients]
    compare(ColumnEmbedding, "torch.nn.Embedding", [(y, whole)], slopes)


@pytest.mark.parametrize("activation", [Relu(), Identity()], ids=str)
@pytest.mark.parametrize("shared", [False, True])
def test_vectors_of_numbers_are_those_of_the_paper(torch, shared, activation):
    """PLR, and PLR (lite), written with PyTorch's functions."""
    layer = PeriodicEmbedding(3, 4, 0.4, shared, activation=activation)
    tried = TablePass(LayerCase(layer, TABLE))
    y, dx = tried.run()
    theirs = {k: torch.tensor(v, requires_grad=True) for k, v in tried.inner.params.items()}
    x = torch.tensor(TABLE, requires_grad=True)
    angles = 2 * math.pi * theirs["frequencies"] * x[:, [0, 3], None]
    waves = torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1)
    if shared:
        z = torch.nn.functional.linear(waves, theirs["weight"].T, theirs["bias"])
    else:
        z = torch.einsum("bnk,nkd->bnd", waves, theirs["weight"]) + theirs["bias"]
    z = torch.relu(z) if activation == Relu() else z
    whole = torch.cat([x[:, [1, 2, 4]], z.flatten(1)], dim=1)
    whole.backward(torch.tensor(tried.dy))
    slopes = [(tried.inner.gradients[k], one.grad) for k, one in theirs.items()]
    compare(PeriodicEmbedding, FORMULA, [(y, whole)], [(dx, x.grad), *slopes])
