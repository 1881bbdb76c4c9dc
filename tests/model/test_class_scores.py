"""Losses whose outputs are not probabilities: what a single one or several predict."""

import numpy as np
import pytest

import nnreg as library
from nnreg import SpecError

RNG = np.random.default_rng(3)
X = RNG.normal(size=(120, 2))
TWO = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
THREE = np.array(["a", "b", "c"])[np.argmax(np.column_stack([X, X[:, 0] * 0]), axis=1)]


def trained(loss, layers, y, x=X, **sections):
    spec = {
        "model": {"layers": layers, "dtype": "float64"},
        "loss": loss,
        "metrics": ["accuracy", "auc"],
        "optimizer": {"type": "adam", "learning_rate": 0.05},
        "train": {"epochs": 60},
        **sections,
    }
    model = library.build(spec, data=(x, y))
    model.fit(x, y)
    return model


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_a_single_output_above_0_is_the_second_class_for_a_loss_of_signs(loss):
    model = trained(loss, [{"type": "dense", "units": 1}], TWO)
    outputs = model.predict(X)
    assert (outputs < 0.5)[TWO == "yes"].any()  # so that the limit matters
    assert np.array_equal(model.classify(X), np.where(outputs > 0, "yes", "no"))
    found = model.evaluate(X, TWO)
    assert found["accuracy"] == np.mean(model.classify(X) == TWO) > 0.95
    assert found["auc"] > 0.99


@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        ("hinge", "identity"),
        ("categorical_hinge", "identity"),
        ({"type": "multi_margin", "exponent": 2}, "identity"),
        ("nll", "log_softmax"),
        ("focal_cross_entropy", "softmax"),
        ("generalized_cross_entropy", "softmax"),
        ("kl_divergence", "sparsemax"),
    ],
)
def test_the_largest_of_several_outputs_is_the_class(loss, activation):
    layers = [{"type": "dense", "units": "classes", "activation": activation}]
    model = trained(loss, layers, THREE)
    expected = np.array(model.classes)[np.argmax(model.predict(X), axis=1)]
    assert np.array_equal(model.classify(X), expected)
    assert model.evaluate(X, THREE)["accuracy"] > 0.9


def test_log_softmax_with_nll_trains_as_softmax_with_cross_entropy():
    layers = [{"type": "dense", "units": "classes", "activation": "log_softmax"}]
    logs = trained("nll", layers, THREE)
    plain = trained("cross_entropy", [{**layers[0], "activation": "softmax"}], THREE)
    np.testing.assert_allclose(np.exp(logs.predict(X)), plain.predict(X), rtol=1e-9)


def test_a_prediction_file_has_probabilities_or_scores(tmp_path, nnreg):
    for loss, activation, what in (
        ("nll", "log_softmax", "probability"),
        ("multi_margin", "identity", "score"),
    ):
        layers = [{"type": "dense", "units": "classes", "activation": activation}]
        library.save(trained(loss, layers, THREE), tmp_path / "m.h5")
        np.savez(tmp_path / "x.npz", x=X[:4])
        code, out, err = nnreg("predict", tmp_path / "m.h5", tmp_path / "x.npz")
        assert code == 0, err
        header, first, *_ = out.splitlines()
        assert header == ",".join(["prediction", *(f"{what}_{one}" for one in "abc")])
        total = sum(map(float, first.split(",")[1:]))
        assert (abs(total - 1) < 1e-5) == (what == "probability")


TOWER = [
    {"type": "dense", "units": 4, "inputs": "left", "name": "tower"},
    {"use": "tower", "inputs": "right", "name": "other"},
]


def pairs():
    left, right = RNG.normal(size=(2, 200, 2))
    differ = np.where(np.linalg.norm(left - right, axis=1) > 1.5, "differ", "same")
    return {"left": left, "right": right}, differ


def test_a_siamese_network_tells_pairs_that_differ_by_their_distance():
    x, differ = pairs()
    differ = np.where(differ == "differ", 1, 0)
    layers = [*TOWER, {"type": "distance", "inputs": ["tower", "other"]}]
    loss = {"type": "contrastive", "margin": 3}
    model = trained(loss, layers, differ, x)
    distance = model.predict(x)
    assert np.array_equal(model.classify(x), (distance > 1.5).astype(int))
    assert model.evaluate(x, differ)["accuracy"] > 0.9


def test_a_contrastive_loss_takes_one_distance():
    layers = [{"type": "dense", "units": 2, "activation": "relu"}]
    with pytest.raises(SpecError, match="takes one distance for each pair"):
        trained({"type": "contrastive", "different": "yes"}, layers, TWO)


def test_alpha_of_a_focal_loss_has_a_weight_for_each_class():
    layers = [{"type": "dense", "units": "classes", "activation": "softmax"}]
    with pytest.raises(SpecError, match="2 weights, one for each class"):
        trained({"type": "focal_cross_entropy", "alpha": [1, 2]}, layers, THREE)
    trained({"type": "focal_cross_entropy", "alpha": [1, 2, 0.5]}, layers, THREE)


def triplets(units):
    tower = {"type": "dense", "units": units, "inputs": "anchor", "name": "tower"}
    return [
        tower,
        *({"use": "tower", "inputs": name, "name": f"of_{name}"} for name in ("same", "other")),
        {"type": "concat", "inputs": ["tower", "of_same", "of_other"]},
    ]


def test_three_uses_of_a_tower_are_trained_by_triplets_without_a_target():
    anchor = RNG.normal(size=(80, 3))
    x = {"anchor": anchor, "same": anchor + RNG.normal(size=(80, 3)) * [0, 3, 3],
         "other": RNG.normal(size=(80, 3))}  # fmt: skip
    spec = {
        "model": {"layers": triplets(2), "dtype": "float64"},
        "loss": "triplet_margin",
        "optimizer": {"type": "adam", "learning_rate": 0.05},
        "train": {"epochs": 40},
    }
    model = library.build(spec, data=(x, None))
    model.fit(x, None)
    assert model.history["loss"][-1] < model.history["loss"][0] / 2
    two = {"type": "concat", "inputs": ["tower", "of_same"]}
    spec["model"]["layers"] = [*triplets(2)[:2], two]
    del x["other"]
    with pytest.raises(SpecError, match="takes three embeddings of one length"):
        library.build(spec, data=(x, None))
