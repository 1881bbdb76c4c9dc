"""A checkpoint with an impossible value of an encoder is refused when it is loaded."""

import pytest

import nnreg
from nnreg.errors import CheckpointError
from tests.helpers.specs import csv_data
from tests.security.contents import NUMBERS, Original

COLUMNS = {"depth": {"type": "date", "unit": "s"}}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    data = csv_data(target="length", inputs=["depth"], columns=COLUMNS)
    return Original(tmp_path_factory.mktemp("encoders"), {**NUMBERS, "data": data})


@pytest.mark.parametrize("origin", [2**63, -(2**70), 0.5])
def test_the_origin_of_dates_must_be_a_time(original, origin):
    document, arrays = original.content()
    document["preprocessing"]["inputs"][0]["origin"] = origin
    file = original.write(document, arrays)
    with pytest.raises(CheckpointError, match=r"(?s)last\.h5: .*origin"):
        nnreg.load(file)
