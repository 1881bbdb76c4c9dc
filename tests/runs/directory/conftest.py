"""The spec of runs whose directories are tested."""

import pytest

from tests.helpers.specs import blobs, classifier


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """Return a spec with every kind of state, for six epochs of six steps."""
    monkeypatch.chdir(tmp_path)
    x, y = blobs(48)
    rows = [f"{label},{','.join(map(str, row))}" for row, label in zip(x, y, strict=True)]
    (tmp_path / "data.csv").write_text("\n".join(["label,a,b,c,d", *rows, ""]))
    split = {"validation": 0.25}
    return classifier(
        data={"source": "csv", "path": "data.csv", "target": "label", "split": split},
        model={"layers": [{"type": "batch_norm"}, *classifier()["model"]["layers"]]},
        train={"epochs": 6, "batch_size": 6, "early_stopping": {"patience": 3}},
    )
