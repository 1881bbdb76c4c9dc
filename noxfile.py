"""One command per task of a contributor: `nox --list` shows them, `nox -s lint types` runs two."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
from pathlib import Path

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests"]

ROOT = Path(__file__).parent
PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
PLUGINS = sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))
WORKFLOW = ".github/workflows/ci.yml"
KINDS = [
    "activation", "loss", "layer", "optimizer", "schedule", "regularizer", "constraint",
    "augmentation", "metric", "source", "encoder", "exporter", "executor",
]  # fmt: skip

COMPILED = [
    "tests/kernels",
    "tests/components/sources/test_csv_compiled.py",
    "tests/model/test_joined_layers.py",
]
"""Beside tests/conformance, the tests of what Numba and oneMKL compute, slow ones included."""

FIRST_STEPS = [
    "example penguins",
    "run penguins.json --set train.epochs=3",
    "predict runs/penguins-001 penguins.csv --out predictions.csv",
]
MAX_WHEEL_BYTES = 1_500_000
"""Of the wheel without the examples."""

SAME_ON_ANY_PROCESSOR = [
    "cli", "doctor", "meta", "plotting", "plugins", "reports", "security", "spec",
]  # fmt: skip
"""The directories of tests whose results do not depend on the processor."""

WIDE_VECTORS = """
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
wide = [name for name in __cpu_dispatch__ if name == "X86_V4" or name.startswith("AVX512")]
print(*wide)
"""
IN_USE = WIDE_VECTORS + "assert not any(__cpu_features__[name] for name in wide), wide"


def group(name: str) -> list[str]:
    """Return the requirements of a dependency group; any version of pip can install them."""
    return list(nox.project.dependency_groups(PYPROJECT, name))


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests that need seconds each; arguments go to pytest."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session(name="tests-on", python=PYTHONS)
def tests_on(session: nox.Session) -> None:
    """Run the tests on one version of Python: `nox -s tests-on-3.13`."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def processor(session: nox.Session) -> None:
    """Test what computes, and the how-tos, as without AVX-512, with one BLAS thread."""
    session.install("-e", ".[test]")
    wide = session.run("python", "-c", WIDE_VECTORS, silent=True) or ""
    setting = {
        "OPENBLAS_NUM_THREADS": "1",
        "NPY_DISABLE_CPU_FEATURES": wide.strip(),  # empty where NumPy knows none of them
    }
    session.run("python", "-W", "error", "-c", IN_USE, env=setting)
    ignored = [f"--ignore=tests/{name}" for name in SAME_ON_ANY_PROCESSOR]
    session.run("pytest", *ignored, *session.posargs, env=setting)
    session.run("pytest", "-m", "slow and not verify", "tests/docs", env=setting)


@nox.session
def fast(session: nox.Session) -> None:
    """Run the tests of the kernels of Numba and oneMKL."""
    session.install("-e", ".[test,fast,mkl]")
    session.run("pytest", "-m", "not verify", *COMPILED, *session.posargs)
    session.run("pytest", "tests/conformance")


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest version of each dependency that pyproject.toml allows."""
    # Each requirement of the package is "name>=version".
    project = PYPROJECT["project"]
    requirements = map(
        Requirement, [*project["dependencies"], *project["optional-dependencies"]["test"]]
    )
    lines = [f"{one.name}{one.specifier}".replace(">=", "==") for one in requirements]
    constraints = Path(session.create_tmp()) / "lowest.txt"
    constraints.write_text("\n".join(lines))
    session.install("-e", ".[test]", "--constraint", str(constraints))
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting, and the direction of imports between packages."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache")
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", WORKFLOW)


@nox.session(name="format")
def format_(session: nox.Session) -> None:
    """Format the code and fix what ruff can fix."""
    session.install(*group("lint"))
    session.run("ruff", "check", "--fix", ".")
    session.run("ruff", "format", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the package."""
    session.install("-e", ".[test]", *group("lint"))
    session.run("mypy", "--strict", "nnreg")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into docs/_build; a warning is an error."""
    session.install("-e", ".", *group("docs"))
    session.run("sphinx-build", "-W", "--keep-going", "-n", "docs", "docs/_build")


@nox.session
@nox.parametrize("plugin", PLUGINS, ids=PLUGINS)
def plugins(session: nox.Session, plugin: str) -> None:
    """Test each plugin of this repository from its wheel, or one: `nox -s "plugins(nnreg-kan)"`."""
    with tempfile.TemporaryDirectory() as place:
        wheels = build_wheels(session, place, ".", f"plugins/{plugin}")
        session.install(wheels[0], f"{wheels[1]}[test]")
        for part in ("tests", "example"):
            if (ROOT / "plugins" / plugin / part).exists():
                shutil.copytree(ROOT / "plugins" / plugin / part, Path(place, part))
        shutil.copy(ROOT / "plugins" / plugin / "pyproject.toml", place)
        with session.chdir(place):
            session.run("python", "-m", "pytest")


@nox.session(name="new-plugins")
def new_plugins(session: nox.Session) -> None:
    """Generate a plugin of each kind with `nnreg plugin new`, and test it."""
    with tempfile.TemporaryDirectory() as place:
        session.install(*build_wheels(session, place, "."), *group("lint"))
        common = {"MYPYPATH": ".", "MYPY_CACHE_DIR": f"{place}/types"}
        for kind in KINDS:
            with session.chdir(place):
                names = [f"nnreg-new-{kind}", f"--{kind}", f"new_{kind}"]
                session.run("nnreg", "plugin", "new", *names)
            with session.chdir(f"{place}/nnreg-new-{kind}"):
                session.install("-e", ".[test]")
                session.run("pytest")
                session.run("nnreg", "plugin", "check", f"new_{kind}")
                session.run("ruff", "check", ".")
                session.run("ruff", "format", "--check", ".")
                session.run("mypy", "--strict", ".", env=common)


@nox.session
def package(session: nox.Session) -> None:
    """Build wheel and sdist, check both, and follow the first steps with each outside the clone."""
    with tempfile.TemporaryDirectory() as place:
        session.install("build", "twine", "check-wheel-contents")
        session.run("python", "-m", "build", "--outdir", place)
        wheel, sdist = next(Path(place).glob("*.whl")), next(Path(place).glob("*.tar.gz"))
        session.run("twine", "check", "--strict", str(wheel), str(sdist))
        session.run("check-wheel-contents", str(wheel))
        check_wheel(session, wheel)
        for distribution in (wheel, sdist):
            start = Path(place, distribution.suffix)
            session.run("python", "-m", "venv", str(start))
            programs = start / ("Scripts" if os.name == "nt" else "bin")
            with session.chdir(start):
                pip = [str(programs / "python"), "-m", "pip", "install", "--quiet"]
                session.run(*pip, str(distribution), external=True)
                for line in FIRST_STEPS:
                    session.run(str(programs / "nnreg"), *line.split(), external=True)


@nox.session
def verify(session: nox.Session) -> None:
    """Compare with PyTorch, TensorFlow and scikit-learn, and run the slow tests; needs Chromium."""
    session.install("-e", ".[test,verify,onnx]", *group("docs"), *group("benchmarks"))
    command = ["python", "-m", "pytest", "-m", "slow or verify", *session.posargs]
    # In one process, which compares docs/reference/verified.md with all that it found.
    session.run(*command, "-n", "0", "tests/parity", env={"NNREG_VERIFY": "1"})
    session.run(*command, "--ignore", "tests/parity", env={"NNREG_VERIFY": "1"})


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Measure nnreg; arguments go to `python -m benchmarks`, such as `-- steps --quick`."""
    session.install("-e", ".[fast,mkl]", *group("benchmarks"), *group("peers"))
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(venv_backend="none")
def ci(session: nox.Session) -> None:
    """Run everything in new environments, as the workflows do."""
    session.run(".ci/run", external=True)


def build_wheels(session: nox.Session, place: str, *sources: str) -> list[str]:
    """Build a wheel of each of these source directories; return their paths in that order."""
    found = []
    for number, source in enumerate(sources):
        directory = Path(place, f"wheels{number}")
        session.run("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(directory), source)
        found += map(str, directory.glob("*.whl"))
    return found


def check_wheel(session: nox.Session, wheel: Path) -> None:
    """Require that a wheel is not too large, and that all links of its description are absolute."""
    with zipfile.ZipFile(wheel) as opened:
        examples = [one for one in opened.infolist() if one.filename.startswith("nnreg/examples/")]
        (metadata,) = (name for name in opened.namelist() if name.endswith("/METADATA"))
        relative = re.findall(r"\]\((?!https?:|#)[^)]*\)", opened.read(metadata).decode())
    data = sum(one.compress_size for one in examples)
    size = wheel.stat().st_size - data
    session.log(f"the wheel has {size:,} bytes, and {data:,} of {len(examples)} example files")
    if size > MAX_WHEEL_BYTES or not examples or relative:
        session.error(f"more than {MAX_WHEEL_BYTES:,} bytes, no examples, or {relative}")
