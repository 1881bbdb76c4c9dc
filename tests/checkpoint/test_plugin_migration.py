"""A new version of a plugin migrates the options of an old one."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import (
    Activation,
    CheckpointError,
)
from nnreg.checkpoint.save_load import load
from nnreg.spec.document import read_spec
from tests.checkpoint.plugin_of_every_kind import SPEC, best, registry


def migrating(migrate, *, slope=0.5):
    """Return version 2.0, whose activation has another option and migrates the old one."""

    @dataclass(frozen=True)
    class Bent(Activation):
        percent: float = 100 * slope

        def forward(self, x):
            slope = self.percent / 100
            return np.where(x > 0, x, slope * x), lambda dy: np.where(x > 0, dy, slope * dy)

    Bent.migrate = classmethod(migrate)
    return registry("2.0", bent=Bent)


def renamed(cls, config, version):
    assert version == "1.0"
    return {"percent": 100 * config.pop("slope")}


def test_a_plugin_may_migrate_its_old_options(saved, tmp_path):
    new = migrating(renamed)
    model = load(best(saved), registry=new)
    assert model.spec.model.layers[0].activation.percent == 50
    old = load(best(saved), registry=registry())
    rows = [{"island": "north", "length": 1, "depth": 5}]
    assert model.predict(rows).tobytes() == old.predict(rows).tobytes()
    nnreg.save(model, tmp_path / "new.h5")
    again = load(tmp_path / "new.h5", registry=new)
    assert again.spec == model.spec
    assert again.document.tree["model"]["layers"][0]["activation"] == {
        "type": "bent", "percent": 50
    }  # fmt: skip


@pytest.mark.parametrize(
    ("migrate", "text"),
    [
        (lambda cls, config, version: {"percent": 75}, "its output differs by up to"),
        (lambda cls, config, version: config, r"layers\[0\]\.activation\.slope: unknown key"),
        (lambda cls, config, version: 1 / 0, r"bent of nnreg-all 2\.0 cannot migrate the options "
         r"of 1\.0: ZeroDivisionError"),
        (lambda cls, config, version: None, "migrate returned NoneType, not dict"),
        (lambda cls, config, version: {"percent": np.ones(1)}, "TypeError: Object of type ndarray"),
    ],
)  # fmt: skip
def test_a_failing_migration_is_reported(saved, migrate, text):
    with pytest.raises(CheckpointError, match=text):
        load(best(saved), registry=migrating(migrate))


def test_specs_and_checkpoints_of_the_same_version_are_not_migrated(tmp_path, saved):
    same = migrating(lambda cls, config, version: 1 / 0)
    with pytest.raises(nnreg.SpecError, match="slope: unknown key"):
        read_spec(SPEC, registry=same)
    spec = json.loads(json.dumps(SPEC).replace('"slope": 0.5', '"percent": 50'))
    nnreg.save(nnreg.build(read_spec(spec, registry=same)), tmp_path / "m.h5")
    load(tmp_path / "m.h5", registry=same)
