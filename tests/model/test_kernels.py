"""The kernels that a spec names, where their library is installed and where it is not."""

import pickle
from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import Kernels, NnregWarning, SpecError
from nnreg.builtin.kernels.mkl import MklKernels
from nnreg.checkpoint.save_load import load
from nnreg.spec.document import read_spec
from tests.checkpoint.test_kernels_recorded import registry
from tests.helpers.specs import blobs, classifier

DATA = blobs()
MISSING = "needs a library; install it"


def fast(*, installed):
    @dataclass(frozen=True)
    class Fast(Kernels):
        """Kernels of which nothing but their library differs."""

        @classmethod
        def missing(cls):
            return "" if installed else MISSING.removeprefix("needs ")

    return registry(Fast)


def model(kernels, registry):
    spec = classifier(train={"epochs": 1, "kernels": kernels})
    return nnreg.build(read_spec(spec, registry=registry), data=DATA)


@pytest.mark.parametrize(
    ("kernels", "problem"),
    [
        ("fast", f"$.train.kernels: {MISSING}, or use 'numpy'"),
        (["fast", "numpy"], f"$.train.kernels[0]: {MISSING}, or use 'numpy'"),
        (["numpy", "numpy"], "$.train.kernels: NumPy's kernels have every method; name them last"),
    ],
)
def test_kernels_that_cannot_be_used_are_a_problem_where_the_spec_names_them(kernels, problem):
    with pytest.raises(SpecError) as error:
        model(kernels, fast(installed=False))
    assert problem in str(error.value)


@pytest.mark.parametrize("kernels", ["fast", ["fast", "numpy"]])
def test_a_checkpoint_is_used_without_the_library_of_its_kernels(tmp_path, kernels):
    saved = model(kernels, fast(installed=True))
    saved.fit(*DATA)
    nnreg.save(saved, tmp_path / "m.h5")
    with pytest.warns(NnregWarning, match=f"'fast' {MISSING}; other kernels are used"):
        found = load(tmp_path / "m.h5", registry=fast(installed=False))
    assert type(found.network.kernels) is Kernels
    np.testing.assert_allclose(found.predict(DATA[0]), saved.predict(DATA[0]), rtol=1e-6)
    found.fit(*DATA, epochs=1)


def test_a_pickled_model_is_used_without_the_library_of_its_kernels(monkeypatch):
    monkeypatch.setattr(MklKernels, "missing", lambda *_: "")
    data = pickle.dumps(nnreg.build(classifier(train={"kernels": "mkl"}), data=DATA))
    monkeypatch.setattr(MklKernels, "missing", lambda *_: "oneMKL")
    with pytest.warns(NnregWarning, match="'mkl' needs oneMKL; other kernels are used"):
        assert type(pickle.loads(data).network.kernels) is Kernels
