"""Each encoder of numbers and of categories has the answers of nnreg in every format."""

import json

import numpy as np
import pytest

import nnreg
from tests.exporters.formats import FORMATS, require

SIZES = ["S", "M", "L", "XL"]
NUMBERS = [
    *({"type": "number", "scaling": one} for one in (
        "standard", "robust", "robust_clipped", "min_max", "quantile", "log", "power", "none")),
    {"type": "piecewise_linear"},
]  # fmt: skip
CATEGORIES = [
    {"type": "category"},
    {"type": "category", "max_categories": 2},
    {"type": "category", "unseen": "ignore"},
    {"type": "ordered", "order": SIZES},
    {"type": "ordered", "order": SIZES, "code": "thermometer"},
    {"type": "target_mean"},
]
COLUMNS = {f"{kind}{n}": one for kind, several in (("num", NUMBERS), ("txt", CATEGORIES))
           for n, one in enumerate(several)}  # fmt: skip
ROWS = 80


@pytest.fixture(scope="module", params=["none", "impute", "indicate"])
def model(request, tmp_path_factory):
    """Return a model with a column for each encoder, with and without missing values."""
    rng = np.random.default_rng(0)
    rows = []
    for n in range(ROWS):
        size, text = rng.gamma(2, 3), SIZES[rng.integers(4)]
        row = {name: text if name.startswith("txt") else round(size + 0.1, 3) for name in COLUMNS}
        if request.param != "none" and n % 7 == 0:
            row = dict.fromkeys(COLUMNS)
        rows.append(row | {"y": "yes" if size > 5 else "no"})
    path = tmp_path_factory.mktemp("encoders") / "data.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    missing = {} if request.param == "none" else {"missing": request.param}
    spec = {
        "data": {"source": "json_lines", "path": str(path), "target": "y", "columns": COLUMNS,
                 **missing},
        "model": {"layers": [{"type": "dense", "units": 4, "activation": "relu"},
                             {"type": "dense", "units": "classes", "activation": "softmax"}]},
        "loss": "cross_entropy", "optimizer": "adam", "train": {"epochs": 1},
    }  # fmt: skip
    return nnreg.run(spec)


@pytest.mark.parametrize(
    "form", ["numpy", *(pytest.param(one, marks=pytest.mark.slow) for one in ("c", "js", "onnx"))]
)
def test_encoders_are_those_of_nnreg(model, form, tmp_path):
    require(form)
    assert nnreg.export(model, tmp_path / FORMATS[form], to=form).difference < 1e-5
