"""Files of specs."""

import json

import pytest

from tests.helpers.specs import CSV


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Return a function that writes specs by name into the working directory and returns it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)

    def write(**specs):
        for name, spec in specs.items():
            file = tmp_path / f"{name.replace('__', '/')}.json"
            file.parent.mkdir(exist_ok=True)
            file.write_text(spec if isinstance(spec, str) else json.dumps(spec))
        return tmp_path

    return write
