"""The contrastive loss for pairs whose classes have names."""

import warnings

import numpy as np
import pytest

import nnreg
from nnreg.errors import NnregWarning, SpecError

RNG = np.random.default_rng(0)
LEFT = RNG.normal(size=(80, 3))
DIFFERS = np.arange(80) % 2 == 1
RIGHT = np.where(DIFFERS[:, None], -LEFT, LEFT + 0.05 * RNG.normal(size=LEFT.shape))


def spec(loss):
    return {
        "model": {
            "layers": [
                {"type": "dense", "units": 4, "inputs": "left", "name": "tower"},
                {"use": "tower", "inputs": "right", "name": "other"},
                {"type": "distance", "inputs": ["tower", "other"]},
            ]
        },
        "loss": {"type": "contrastive", **loss},
        "metrics": ["accuracy", {"type": "auc", "of": "different"}],
        "optimizer": {"type": "adam", "learning_rate": 0.02},
        "train": {"epochs": 20},
    }


def rows(same, differ):
    return {"left": LEFT, "right": RIGHT}, np.where(DIFFERS, differ, same)


@pytest.mark.parametrize("same", ["a pair", "same"])  # before and after "different"
def test_the_named_class_is_that_of_the_pairs_that_differ(same):
    model = nnreg.build(spec({"different": "different"}), data=rows(same, "different"))
    x, y = rows(same, "different")
    model.fit(x, y)
    found = model.evaluate(x, y)
    assert found["accuracy"] == found["auc"] == 1
    assert list(model.classify(x)[:2]) == [same, "different"]


def test_the_order_of_the_classes_makes_no_difference_to_the_bits():
    vectors = []
    for same in ("a pair", "same"):
        data = rows(same, "different")
        model = nnreg.build(spec({"different": "different"}), data=data)
        model.fit(*data, epochs=3)
        vectors.append(model.network.vector)
    np.testing.assert_array_equal(*vectors)


def test_a_second_class_whose_name_does_not_say_that_it_differs_is_reported():
    text = (
        "the contrastive loss takes pairs of class 'same', the second of 'different' and 'same', "
        "for those that differ; set 'different' to the class that is meant"
    )
    with pytest.warns(NnregWarning) as found:
        nnreg.build(spec({}), data=rows("same", "different"))
    assert [str(one.message) for one in found] == [text]


@pytest.mark.parametrize(("loss", "same"), [({"different": "different"}, "same"), ({}, "alike")])
def test_a_class_that_is_clear_is_not_reported(loss, same):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nnreg.build(spec(loss), data=rows(same, "different"))


def test_an_unknown_class_is_refused_with_a_suggestion():
    with pytest.raises(SpecError) as error:
        nnreg.build(spec({"different": "diferent"}), data=rows("same", "different"))
    assert "$.loss: no class 'diferent'; did you mean 'different'?" in str(error.value)
