"""Lazy imports, and rules of the code that no linter checks.

`lint-imports` checks the direction of imports between packages; see pyproject.toml.
"""

import ast
import os
import re
import subprocess
import sys

from nnreg import builtin
from nnreg.builtin import components
from nnreg.cli.app import COMMANDS
from nnreg.registry.kinds import KINDS
from tests.helpers.paths import ROOT

PACKAGE = ROOT / "nnreg"
FILES = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


def imported(path):
    """Yield the modules that a file imports, at any level."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            if node.module == "nnreg":
                yield from (f"nnreg.{alias.name}" for alias in node.names)


def test_only_one_module_imports_h5py():
    users = {path.name for path in FILES if "h5py" in set(imported(path))}
    assert users == {"hdf5.py"}


def test_training_does_not_import_json_and_builtins_do_not_import_the_registry():
    for path in (PACKAGE / "training").rglob("*.py"):
        names = set(imported(path))
        assert not {"json", "nnreg.spec.document", "nnreg.spec.validation"} & names, path
    for path in (PACKAGE / "builtin").rglob("*.py"):
        assert "nnreg.registry.registry" not in set(imported(path)), path


def test_random_numbers_come_only_from_generators():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "np.random":
                assert node.attr in ("Generator", "default_rng", "SeedSequence"), path


def loaded_by(code):
    """Return the modules that are imported by code, in a process without plugins."""
    command = f"import sys\n{code}\nprint(*sys.modules, file=sys.stderr)"
    environment = os.environ | {"NNREG_PLUGINS": ""}
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, check=True, env=environment
    )
    return set(done.stderr.decode().split())


def test_importing_nnreg_loads_little_more_than_numpy():
    loaded = loaded_by("import nnreg")
    assert not loaded & {"h5py", "pydantic", "rich", "click", "pluggy"}
    assert not {name for name in loaded if name.startswith("nnreg.builtin")}


def test_help_loads_little_more_than_click():
    code = "import nnreg.cli\ntry: nnreg.cli.main(['--help'])\nexcept SystemExit: pass"
    assert not loaded_by(code) & {"numpy", "h5py", "pydantic", "rich", "pluggy", "threadpoolctl"}


def test_a_command_loads_no_module_of_another_one():
    code = "import nnreg.cli\ntry: nnreg.cli.main(['predict', '--help'])\nexcept SystemExit: pass"
    loaded = {name.rpartition(".")[2] for name in loaded_by(code) if name.startswith("nnreg.cli.")}
    assert "inference" in loaded
    assert not loaded & (COMMANDS.keys() - {"inference"})


def test_only_the_modules_of_components_that_a_spec_uses_are_loaded():
    spec = ROOT / "models/two_layer.json"  # dense layers, sigmoid, mean squared error, sgd
    loaded = loaded_by(f"import nnreg.cli\ntry: nnreg.cli.main(['validate', {str(spec)!r}])\n"
                       "except SystemExit as error: assert not error.code")  # fmt: skip
    used = {"identity", "sigmoid", "dense", "glorot_uniform", "zeros", "mean_squared_error", "sgd",
            "constant", "csv", "numpy"}  # fmt: skip
    used |= {"number", "category", "values"}  # of which a column without an encoder has one
    tables = [getattr(builtin, hook)() for hook, _ in KINDS.values()]
    modules = {
        name: {table[name].partition(":")[0] for table in tables if name in table}
        for table in tables
        for name in table
    }
    needed = {module for name in used for module in modules[name]}
    assert {name: own for name, own in modules.items() if own & (loaded - needed)} == {}


def test_a_family_has_the_classes_of_its_modules_and_imports_none_of_them():
    for path in (PACKAGE / "builtin").glob("*/__init__.py"):
        tree, family = ast.parse(path.read_text()), f"nnreg.builtin.{path.parent.name}."
        own = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module.startswith(family)
        ]
        exported = {f"{node.module}:{alias.name}" for node in own for alias in node.names}
        table = getattr(components, path.parent.name.upper())
        assert exported in (set(), set(table.values()))
        assert not set(own) & set(tree.body), f"{path}: import them if TYPE_CHECKING"


def test_the_page_on_the_architecture_names_every_module_in_the_row_of_its_package():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w/]+)/` (\|.*)$", text, re.M)
    missing = []
    for path in FILES:
        package, *below = path.relative_to(PACKAGE).with_suffix("").parts
        if below and package != "templates" and below[-1] != "__init__":
            own = [row for name, row in rows if f"{package}/" in f"{name}/"]
            missing += [] if any(f"`{below[-1]}`" in row for row in own) else [str(path)]
    assert not missing
