"""What my_component learns, and a run that uses it."""

from pathlib import Path
from typing import Any

import nnreg
import numpy as np
from nnreg import RawColumn

from nnreg_my_plugin import MyComponent

TEXTS = ["good good film", "bad film", "good story", "bad bad story"]


def test_it_counts_the_most_frequent_words() -> None:
    encoder = MyComponent(vocabulary=2).learn(RawColumn.of(TEXTS, "text"))
    assert encoder.words == ("bad", "good")
    counts = encoder.encode(RawColumn.of(["good bad good", "new"], "text"))
    np.testing.assert_array_equal(counts, [[1, 2], [0, 0]])


def test_a_run_learns_it_and_predicts_from_raw_rows(tmp_path: Path) -> None:
    spec: dict[str, Any] = {
        "data": {
            "source": "csv",
            "path": "unused.csv",
            "target": "target",
            "columns": {"review": {"type": "my_component", "vocabulary": 2}},
        },
        "model": {"layers": [{"type": "dense", "units": "classes", "activation": "softmax"}]},
        "loss": "cross_entropy",
        "optimizer": {"type": "adam", "learning_rate": 0.1},
        "train": {"epochs": 30},
    }
    targets = ["yes", "no", "yes", "no"]
    run = nnreg.run(spec, data=({"review": 8 * TEXTS}, 8 * targets), out=tmp_path / "run")
    model = nnreg.load(tmp_path / "run")
    rows = {"review": ["a good one", "so bad"]}
    assert model.classify(rows).tolist() == ["yes", "no"]
    np.testing.assert_array_equal(model.predict(rows), run.predict(rows))
