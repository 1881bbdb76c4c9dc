"""What several modules of nnreg need is implemented once; each exception has a reason."""

import ast

import pytest

from tests.helpers.paths import ROOT

PACKAGE = ROOT / "nnreg"
SOURCES = {
    str(path.relative_to(PACKAGE)): path.read_text()
    for path in PACKAGE.rglob("*.py")
    if "templates" not in path.parts
}


def trees(*texts):
    """Yield each file and its syntax tree, if the file has one of the texts or none are given."""
    for file, source in SOURCES.items():
        if not texts or any(text in source for text in texts):
            yield file, ast.parse(source)


def names(node):
    """Yield the names and strings of a node."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.module
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def users(name):
    return {
        file
        for file, tree in trees(name)
        if any(name in names(node) for node in ast.walk(tree) if not isinstance(node, ast.Expr))
    }


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("strerror", "_utils/os_errors.py"),  # the reason why a file cannot be read or written
        ("difflib", "_utils/suggestions.py"),  # "did you mean"
        ("file_digest", "data/files.py"),
    ],
)
def test_only_one_module_uses(name, module):
    others = {"file_digest": {"runs/warm_start.py"}}  # of a checkpoint, not of data
    assert users(name) - others.get(name, set()) == {module}


def test_only_one_module_prints_since_it_escapes_what_it_prints():
    for name in ("echo", "secho", "print_exc", "rich.console"):
        printing = {file for file in users(name) if file.startswith("cli/")}
        lines = {"cli/_live_line.py", "cli/_sweep_progress.py"}
        annotations = lines if name == "rich.console" else set()
        assert printing - annotations <= {"cli/_output.py"}, name
    for file, tree in trees("print"):
        called = {node.func.id for node in ast.walk(tree)
                  if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}  # fmt: skip
        # what an estimator prints are numbers and names of metrics, if its caller asks for them
        # a process of a sweep writes results for its parent into a pipe
        allowed = ("cli/_output.py", "sklearn/estimator.py", "builtin/executors/child.py")
        assert "print" not in called or file in allowed, file


def test_only_one_module_compares_sizes_with_the_memory_limit():
    assert users("memory_limit") == {
        "_utils/memory.py",
        "doctor/environment.py",  # displays it
        "checkpoint/file_format.py",  # shows it in a message
    }


@pytest.mark.parametrize("method", ["write_text", "write_bytes"])
def test_only_one_module_writes_files(method):
    """It keeps links, devices and modes; the exceptions write into temporary directories."""
    assert users(method) <= {"doctor/selftest.py", "testing/sources.py"}


def test_only_one_module_writes_json():
    """It writes no NaN. What `spec` writes is checked for it: that is its own format."""
    found = {
        file
        for file, tree in trees("json")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in ("dump", "dumps")
        and isinstance(node.value, ast.Name)
        and node.value.id == "json"
    }
    assert {file for file in found if not file.startswith("spec/")} == {"_utils/json_text.py"}


def test_only_one_module_formats_sizes_and_times():
    """No other f-string divides bytes by a unit, or seconds by 60."""
    found = {
        file
        for file, tree in trees("/")
        for node in ast.walk(tree)
        if isinstance(node, ast.FormattedValue)
        for part in ast.walk(node.value)
        if isinstance(part, ast.BinOp)
        and isinstance(part.op, ast.Div)
        and isinstance(part.right, ast.Constant)
        and part.right.value in (1e3, 1e6, 1e9, 60, 3600)
    }
    assert not found


def test_only_one_module_lists_the_splits_in_order():
    orders = (["train", "validation", "test"], ["test", "validation", "train"])
    found = {
        file
        for file, tree in trees("validation")
        for node in ast.walk(tree)
        if isinstance(node, ast.Tuple | ast.List)
        and [getattr(item, "value", None) for item in node.elts] in orders
    }
    assert found == {"data/split.py"}


def test_only_the_monitor_finds_the_best_epoch():
    reading = {
        file
        for file, tree in trees("val_loss")
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and node.slice.value == "val_loss"
    }
    assert not reading


def test_linear_algebra_is_computed_where_its_bits_are_known():
    """Results of LAPACK depend on the number of threads of the BLAS, unless that is limited."""
    assert users("linalg") == {
        "builtin/initializers.py",  # with one thread
        "interfaces/traced.py",  # records the functions that a formula calls, in a training
        "training/gradient_check.py",  # the scale of a tolerance
    }
