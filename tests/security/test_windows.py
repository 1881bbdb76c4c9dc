"""A checkpoint whose windows are not those of its spec is refused."""

import pytest

import nnreg
from nnreg.errors import CheckpointError
from tests.helpers.specs import csv_data
from tests.security.contents import NUMBERS, Original


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    data = csv_data(target="length", inputs=["length"], window={"length": 2, "horizon": 2})
    layers = [{"type": "lstm", "units": 2}, {"type": "dense", "units": 2}]
    spec = {**NUMBERS, "data": data, "model": {"layers": layers}}
    return Original(tmp_path_factory.mktemp("windows"), spec)


CHANGES = {
    "length": {"length": 3},
    "no window": None,
    "targets": {"targets": ["depth"]},
    "no targets": {"targets": []},
    "twice": {"targets": ["length", "length"]},
    "step": {"spacing": {"name": "daily", "unit": "microseconds", "step": 0.0}},
    "unit": {"spacing": {"name": "daily", "unit": "days", "step": 1.0}},
    "day": {"spacing": {"name": "monthly", "unit": "months", "step": 1.0, "day": 32}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_windows_that_do_not_fit_are_refused(original, change):
    document, arrays = original.content()
    window = document["preprocessing"]["window"]
    document["preprocessing"]["window"] = CHANGES[change] and {**window, **CHANGES[change]}
    with pytest.raises(CheckpointError, match="inconsistent"):
        nnreg.load(original.write(document, arrays))


def test_another_horizon_is_refused(original):
    document, arrays = original.content()
    document["spec"]["data"]["window"]["horizon"] = 10**9
    with pytest.raises(CheckpointError, match="windows of its preprocessing are not those of its"):
        nnreg.load(original.write(document, arrays))


def test_what_is_not_changed_is_accepted(original):
    document, arrays = original.content()
    model = nnreg.load(original.write(document, arrays))
    assert model.predict({"length": [1.0, 2.0, 3.0]}).shape == (2, 2)
