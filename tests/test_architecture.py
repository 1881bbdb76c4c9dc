"""The imports run one way, and what is slow to import is imported late."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "nnreg"
ORDER = [
    {"places"}, {"errors"}, {"files"}, {"component", "plugins", "listing"},
    {"kernels", "formula", "memory", "categorical"}, {"stored"},
    {"interfaces"}, {"hookspecs", "jsonc", "hdf5", "migrations", "plotting", "gathering"},
    {"network", "allowlist", "composing", "settings", "progress"},
    {"builtin", "evaluation", "history", "threads", "interrupts"},
    {"divergence", "gradient", "update", "environment", "probes"},
    {"registry", "trainer", "checkpoint"}, {"schema", "requirements", "events"},
    {"spec", "testing", "scaffold", "verified", "describing", "doctor"},
    {"builder", "data", "provenance"}, {"drafting"},
    {"model", "manifest"}, {"saving", "reading", "resolving"}, {"starting"},
    {"assembly"}, {"folder", "verdict", "estimating", "proposing"}, {"runs"},
    {"comparing", "folds"}, {"training", "reporting", "selftest"}, {"cli"},
    {"__main__", "templates"},
]  # fmt: skip
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}
FILES = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


def imported(path):
    """Yield the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            if node.module == "nnreg":
                yield from (f"nnreg.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    for name in imported(path):
        package, _, rest = name.partition(".")
        other = rest.split(".")[0]
        if package == "nnreg" and other in LEVEL and other != own:
            # the registry loads the built-ins, which is the one step back
            assert LEVEL[other] < LEVEL[own] or (own, other) == ("registry", "builtin"), name


def test_one_module_imports_h5py():
    users = {path.name for path in FILES if "h5py" in set(imported(path))}
    assert users == {"hdf5.py"}


def test_the_trainer_never_sees_json_and_a_layer_never_sees_the_registry():
    assert not {"json", "nnreg.spec", "nnreg.schema"} & set(imported(PACKAGE / "trainer.py"))
    for path in (PACKAGE / "builtin").rglob("*.py"):
        assert "nnreg.registry" not in set(imported(path)), path


def test_randomness_comes_from_generators_only():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "np.random":
                assert node.attr in ("Generator", "default_rng", "SeedSequence"), path


def loaded_by(code):
    command = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, check=True)
    return {name.split(".")[0] for name in done.stdout.decode().split()}


def test_import_nnreg_loads_little_more_than_numpy():
    assert not loaded_by("import nnreg") & {"h5py", "pydantic", "rich", "click", "pluggy"}


def test_help_loads_no_more_than_click():
    code = "import nnreg.cli\ntry: nnreg.cli.main(['--help'])\nexcept SystemExit: pass"
    assert not loaded_by(code) & {"h5py", "pydantic", "rich", "pluggy", "threadpoolctl"}
