"""Losses in which one of two classes with names is the positive one."""

import warnings

import numpy as np
import pytest

import nnreg
from nnreg.errors import NnregWarning, SpecError

X = np.linspace(-2, 2, 60)[:, None]
IS_DISC = X[:, 0] > 1
LOSSES = [
    {"type": "dice"},
    {"type": "tversky", "beta": 0.7},
    {"type": "binary_focal_cross_entropy", "alpha": 0.8},
]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss["type"])


def spec(loss, units=1, activation="sigmoid"):
    return {
        "model": {"layers": [{"type": "dense", "units": units, "activation": activation}]},
        "loss": loss,
        "metrics": ["accuracy", {"type": "auc", "of": "disc"}],
        "optimizer": {"type": "adam", "learning_rate": 0.1},
        "train": {"epochs": 20, "batch_size": 20},
    }


def rows(rest, disc="disc"):
    return X, np.where(IS_DISC, disc, rest)


@every_loss
def test_the_named_class_is_the_positive_one_in_either_order(loss):
    vectors = []
    for rest in ("background", "rest"):
        data = rows(rest)
        model = nnreg.build(spec({**loss, "positive": "disc"}), data=data)
        model.fit(*data)
        assert model.evaluate(*data)["auc"] == 1
        assert list(model.classify([[-2.0], [2.0]])) == [rest, "disc"]
        vectors.append(model.network.vector)
    np.testing.assert_array_equal(*vectors)


@every_loss
def test_a_second_class_whose_name_does_not_say_that_it_is_positive_is_reported_once(loss):
    with pytest.warns(NnregWarning) as found:
        nnreg.build(spec(loss), data=rows("rest"))
    text = (
        f"the loss {loss['type']} is that of class 'rest', the second of 'disc' and 'rest'; set "
        "'positive' to the class that is meant"
    )
    assert [str(one.message) for one in found] == [text]


@pytest.mark.parametrize(
    ("loss", "rest", "more"),
    [
        ({"type": "dice", "positive": "disc"}, "rest", {}),
        ({"type": "dice"}, "yes", {}),
        ({"type": "binary_focal_cross_entropy"}, "rest", {}),
        ({"type": "binary_focal_cross_entropy", "alpha": 0.5}, "rest", {}),
        ({"type": "tversky"}, "rest", {"units": 2, "activation": "softmax"}),
    ],
)
def test_classes_that_are_clear_or_alike_are_not_reported(loss, rest, more):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nnreg.build(spec(loss, **more), data=rows(rest))


def test_a_loaded_model_does_not_warn_again(tmp_path):
    with pytest.warns(NnregWarning, match="the loss dice"):
        model = nnreg.build(spec({"type": "dice"}), data=rows("rest"))
    nnreg.save(model, tmp_path / "model.h5")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nnreg.load(tmp_path / "model.h5")


@every_loss
def test_an_unknown_positive_class_is_refused_with_a_suggestion(loss):
    with pytest.raises(SpecError, match=r"\$\.loss: no class 'dics'; did you mean 'disc'\?"):
        nnreg.build(spec({**loss, "positive": "dics"}), data=rows("rest"))


@pytest.mark.parametrize(
    ("activation", "target"),
    [
        ("softmax", rows("rest")[1]),
        ("sigmoid", IS_DISC[:, None] * [1.0, 0.5]),
    ],
    ids=["an output for each class", "numbers"],
)
def test_a_positive_class_is_refused_without_one_output_of_two_classes(activation, target):
    given = {**spec({"type": "dice", "positive": "disc"}, 2, activation), "metrics": []}
    with pytest.raises(SpecError, match=r"\$\.loss: 'positive' names a class, which is for one"):
        nnreg.build(given, data=(X, target))
