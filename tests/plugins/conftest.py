"""A run whose events plugins receive."""

import json

import pytest

from nnreg import builtin
from nnreg.registry.registry import Registry
from tests.helpers.specs import CSV, classifier, csv_data


@pytest.fixture
def listen(monkeypatch):
    """Return a function that makes runs use a registry of the built-ins and some plugins."""

    def use(**plugins):
        registry = Registry()
        registry.add_plugin("nnreg", builtin, "nnreg", "0.1.0")
        for name, plugin in plugins.items():
            registry.add_plugin(name, plugin, f"nnreg-{name}", "1.0")
        monkeypatch.setattr("nnreg.spec.document.installed", lambda: registry)
        monkeypatch.setattr("nnreg.checkpoint.save_load.installed", lambda: registry)
        monkeypatch.setattr("nnreg.registry.registry.discover", lambda selection: registry)

    return use


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """Write a spec and its data; return the name of its file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)
    spec = classifier(data=csv_data(split={"validation": 0.25}, unseen="ignore"))
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    return "spec.json"
