"""Tests depend neither on the clock nor on global random numbers nor on their order."""

import ast
import re

import pytest

from tests.helpers.paths import ROOT

EXCEPTIONS = {
    "tests/exporters/page.py",  # writes the times of exports into a page
    "tests/helpers/work.py",  # the helpers that all others use
    "tests/runs/kill_training.py",  # kills at random moments; no result depends on them
    "tests/meta/test_repeatability.py",
}
FILES = [
    path
    for pattern in ("tests/**/*.py", "plugins/*/tests/*.py", "nnreg/templates/test_*.py")
    for path in sorted(ROOT.glob(pattern))
    if str(path.relative_to(ROOT)) not in EXCEPTIONS
]
CLOCK = re.compile(r"\bimport\b.*\btime\b(?!\.)|\btime\.(sleep|monotonic|\w*_?time|perf_counter)\b")
ALARMS = {"alarm", "setitimer", "times", "sleep", "perf_counter", "monotonic", "process_time"}
GENERATORS = {"Generator", "PCG64", "SeedSequence", "default_rng", "Random", "mtrand"}


def uses_clock(node):
    match node:
        case ast.Import(names=names):
            return any(alias.name in ("time", "timeit") for alias in names)
        case ast.ImportFrom(module=module):
            return module in ("time", "timeit")
        case ast.Constant(value=str(text)):  # the code of another process
            return CLOCK.search(text) is not None
        case ast.Attribute(value=ast.Name(id="os" | "signal" | "time"), attr=name):
            return name in ALARMS
        case ast.keyword(arg="timeout" | "deadline", value=ast.Constant(value=limit)):
            return limit is not None
        case ast.Call(func=ast.Attribute(attr="wait"), args=[ast.Constant()]):
            return True
    return False


def uses_global_generator(node):
    match node:
        case ast.Attribute(value=ast.Name(id="random"), attr=name):
            return name not in GENERATORS
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id="np"), attr="random"), attr=name):
            return name not in GENERATORS
    return False


WORDS = {
    uses_clock: re.compile("|".join(("time", "deadline", "wait", *sorted(ALARMS)))),
    uses_global_generator: re.compile("random"),
}
"""Patterns of which each forbidden use has one, to parse few files."""


def lines(path, forbidden):
    text = path.read_text()
    if not WORDS[forbidden].search(text):
        return []
    return [node.lineno for node in ast.walk(ast.parse(text)) if forbidden(node)]


@pytest.mark.parametrize("forbidden", [uses_clock, uses_global_generator])
def test_no_test_depends_on_the_clock_or_on_a_global_generator(forbidden):
    found = {str(path.relative_to(ROOT)): lines(path, forbidden) for path in FILES}
    assert {path: where for path, where in found.items() if where} == {}


@pytest.mark.parametrize(
    ("code", "forbidden"),
    [
        ("import time", uses_clock),
        ("from time import sleep", uses_clock),
        ("subprocess.run(command, timeout=5)", uses_clock),
        ("process.wait(20)", uses_clock),
        ("settings(deadline=200)", uses_clock),
        ("os.times()", uses_clock),
        ("code = 'import sys, time'", uses_clock),
        ("signal.alarm(3)", uses_clock),
        ("random.seed(0)", uses_global_generator),
        ("np.random.normal(3)", uses_global_generator),
    ],
)
def test_forbidden_code_is_found(code, forbidden):
    assert any(map(forbidden, ast.walk(ast.parse(code))))
    assert WORDS[forbidden].search(code)


@pytest.mark.parametrize(
    "code", ["settings(deadline=None)", "run(c, timeout=HANG_SECONDS)", "np.random.default_rng(0)"]
)
def test_other_code_is_not(code):
    nodes = list(ast.walk(ast.parse(code)))
    assert not any(map(uses_clock, nodes))
    assert not any(map(uses_global_generator, nodes))
