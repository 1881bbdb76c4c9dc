"""Settings for all tests."""

import gc
import importlib.util
import io
import os
import signal
import sys

import numpy as np
import pytest
import threadpoolctl
from hypothesis import settings

from nnreg.cli.app import main
from nnreg.registry.registry import installed
from tests.helpers.fake_distributions import distribution
from tests.helpers.global_state import global_state

# What a shell starts in the background ignores Ctrl-C, and what `nohup` starts the end of the
# terminal; so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

if "PYTEST_XDIST_WORKER" in os.environ:  # several processes share the cores
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # in what a test starts
    threadpoolctl.threadpool_limits(1, "blas")

SEED = 1000
"""That of no module, so that a test draws other numbers than those its module has drawn."""

settings.register_profile("nnreg", max_examples=20, deadline=None, derandomize=True)
settings.load_profile("nnreg")


def pytest_terminal_summary(terminalreporter, config):
    """Print the seed of the order, which `-q` hides."""
    terminalreporter.write_line(f"order: --randomly-seed={config.option.randomly_seed}")


def pytest_collection_finish():
    """Keep the garbage collector from visiting thousands of tests again and again."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _bytecode(tmp_path_factory):
    """Let what tests start keep its bytecode where none may be written beside the sources."""
    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("PYTHONDONTWRITEBYTECODE"):
            common = tmp_path_factory.getbasetemp()
            if "PYTEST_XDIST_WORKER" in os.environ:  # each process has a directory of its own
                common = common.parent
            patch.delenv("PYTHONDONTWRITEBYTECODE")
            patch.setenv("PYTHONPYCACHEPREFIX", str(common / "bytecode"))
        yield


@pytest.fixture(autouse=True)
def leaves_no_trace():
    """Fail a test that leaves something behind that later tests would see."""
    before = global_state()
    yield
    after = global_state()
    assert [subject for subject in before if before[subject] != after[subject]] == []


@pytest.fixture(autouse=True)
def _seeded(request):
    """Seed the generator that a module shares, so that no test depends on those before it."""
    shared = getattr(request.module, "RNG", None)
    if shared is not None:
        shared.bit_generator.state = np.random.default_rng(SEED).bit_generator.state


@pytest.fixture
def peer():
    """Import a library to compare with. Where .ci/run installed it, it must be there."""

    def find(name, *, imported=True):
        there = importlib.util.find_spec(name) is not None
        if not there and not os.environ.get("NNREG_VERIFY"):
            pytest.skip(f"{name} is not installed; it comes with the extra 'verify'")
        assert there, f"{name} is missing"
        return importlib.import_module(name) if imported else None

    return find


@pytest.fixture
def nnreg(capfd, monkeypatch):
    """Run a command; return its exit code, standard output and standard error."""

    def run(*args, stdin=""):
        capfd.readouterr()
        data = stdin.encode() if isinstance(stdin, str) else stdin
        file = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")
        monkeypatch.setattr(sys, "stdin", file)
        with pytest.raises(SystemExit) as caught:
            main([str(arg) for arg in args])
        out, err = capfd.readouterr()
        return caught.value.code, out, err

    return run


@pytest.fixture
def registering():
    """Remove what a test registered."""
    before = set(installed().plugins)
    yield
    for name in set(installed().plugins) - before:
        installed().remove(name)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution with one plugin module, for this test; return its entry point."""
    site, before = tmp_path / "site", set(sys.modules)
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    yield lambda name, code, **options: distribution(site, name, code, **options)
    for name in set(sys.modules) - before:
        if name.startswith("nnreg_"):
            del sys.modules[name]
