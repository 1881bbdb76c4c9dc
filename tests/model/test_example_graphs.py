"""The networks of the how-to on graphs: results, gradients, saving and resuming."""

import json

import numpy as np
import pytest

import nnreg
from tests.helpers.doc_runner import blocks
from tests.helpers.graphs import PAGE, RESULTS, loss_and_gradient, prepared, write_examples
from tests.helpers.resuming import require_identical_bits

NAMES = [pytest.param(one, marks=pytest.mark.slow if one == "unet" else ()) for one in RESULTS]


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    directory = tmp_path_factory.mktemp("examples")
    write_examples(directory)
    return directory


def test_every_spec_of_the_page_has_a_result():
    names = [block.note for block in blocks(PAGE.read_text()) if block.language == "json"]
    assert names == [f"{name}.json" for name in RESULTS]


@pytest.mark.parametrize("name", NAMES)
def test_it_reaches_its_result_on_the_test_rows(examples, tmp_path, name):
    metric, bound = RESULTS[name]
    nnreg.run(examples / f"{name}.json", out=tmp_path / "run")
    found = json.loads((tmp_path / "run/summary.json").read_text())["test"][metric]
    assert found < bound if metric.endswith("loss") else found > bound


@pytest.mark.parametrize("name", NAMES)
def test_it_resumes_bit_identically(examples, tmp_path, name):
    require_identical_bits(examples / f"{name}.json", tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_its_gradients_agree_with_central_differences(examples, name):
    model, x, targets = prepared(examples, name)
    _, found = loss_and_gradient(model, x, targets)
    vector = model.network.vector
    rows = np.random.default_rng(0).permutation(vector.size)[:200]
    expected = np.zeros(len(rows))
    for index, row in enumerate(rows):
        losses, before = [], vector[row]
        for change in (1e-5, -1e-5):
            vector[row] = before + change
            losses.append(loss_and_gradient(model, x, targets)[0])
        vector[row] = before
        expected[index] = (losses[0] - losses[1]) / 2e-5
    np.testing.assert_allclose(found[rows], expected, rtol=0, atol=1e-7 * np.abs(found).max())
