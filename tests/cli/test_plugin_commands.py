"""Plugins add commands: found by name, imported only when called, and unable to break others."""

import json
import re

import pytest

COMMANDS = """
import click
import nnreg

@click.command()
@click.argument("name")
@click.option("--loud", is_flag=True)
def greet(name, loud):
    '''Greet NAME.'''
    if name == "nobody":
        raise nnreg.DataError("there is nobody to greet")
    if name == "bug":
        raise ValueError("a bug")
    if name == "usage":
        raise click.UsageError("greet them properly")
    if name == "leave":
        click.get_current_context().exit(7)
    click.echo(name.upper() if loud else name)
    return 3

@nnreg.hookimpl
def nnreg_commands():
    return {COMMANDS}
"""


def commands(names="{'greet': greet}"):
    """Return the code of a plugin with a command."""
    return COMMANDS.replace("{COMMANDS}", names)


def test_a_command_of_a_plugin_runs_with_its_options(nnreg, install):
    install("nnreg-greet", commands(), plugin="greet")
    assert nnreg("greet", "--loud", "Ada") == (0, "ADA\n", "")
    code, out, err = nnreg("greet", "--help")
    assert (code, err) == (0, "")
    assert out.startswith("Usage: nnreg greet [OPTIONS] NAME")
    assert nnreg("greet", "leave")[0] == 7


def test_errors_of_a_command_are_shown_as_those_of_built_in_ones(nnreg, install):
    install("nnreg-greet", commands(), plugin="greet")
    assert nnreg("greet", "nobody") == (1, "", "error: there is nobody to greet\n")
    code, _, err = nnreg("greet", "usage")
    assert (code, err.splitlines()[0]) == (2, "error: greet them properly")
    code, _, err = nnreg("greet")
    assert code == 2
    assert "usage: nnreg greet [OPTIONS] NAME" in err


def test_another_error_names_the_plugin_and_its_line(nnreg, install):
    install("nnreg-greet", commands(), plugin="greet")
    code, out, err = nnreg("greet", "bug")
    assert (code, out) == (1, "")
    assert re.fullmatch(
        r"error: ValueError: a bug \(nnreg_greet\.py, line \d+\); this is a bug in plugin greet "
        r"\(nnreg-greet 1\.2\); nnreg --debug greet shows where\n",
        err,
    )
    assert 'raise ValueError("a bug")' in nnreg("--debug", "greet", "bug")[2]


def test_the_help_names_declared_commands_without_importing_a_plugin(nnreg, install, tmp_path):
    log = tmp_path / "log"
    code = f"with open({str(log)!r}, 'a') as log:\n    log.write('imported ')\n{commands()}"
    plain = nnreg("--help")[1]
    install("nnreg-greet", code, plugin="greet", commands=["greet", "run"])
    out = nnreg("--help")[1]
    assert re.search(r"\nPlugins:\n  greet +from nnreg-greet\n", out)
    assert out.replace(re.search(r"Plugins:\n.*\n\n", out)[0], "") == plain
    for command in (("--version",), ("run", "--help"), ("runs", "."), ("doctor", "--help")):
        assert nnreg(*command)[0] == 0
    assert not log.exists()
    assert nnreg("greet", "Ada")[0] == 0
    assert log.read_text() == "imported "


def test_the_help_of_a_program_without_plugins_reads_no_metadata(nnreg, monkeypatch):
    def refuse(*args):
        raise AssertionError("metadata was read")

    monkeypatch.setattr("importlib.metadata.distributions", refuse)
    assert nnreg("--help")[0] == 0


def test_a_blocked_plugin_has_no_command(nnreg, install, monkeypatch):
    install("nnreg-greet", commands(), plugin="greet", commands=["greet"])
    code, _, err = nnreg("-p", "no:greet", "greet", "Ada")
    assert code == 2
    assert err == (
        "error: the command 'greet' is not available. Plugins that are not loaded: "
        "nnreg-greet (blocked: by -p no:greet)\n"
    )
    monkeypatch.setenv("NNREG_PLUGINS", "")
    assert "blocked: by NNREG_PLUGINS=''" in nnreg("greet", "Ada")[2]
    assert "greet" not in nnreg("--help")[1]


def test_a_damaged_plugin_breaks_no_other_command(nnreg, install):
    install("nnreg-broken", "raise SystemExit(3)", plugin="broken", commands=["other"])
    install("nnreg-greet", commands(), plugin="greet")
    assert nnreg("greet", "Ada") == (0, "Ada\n", "")
    assert nnreg("--help")[0] == nnreg("runs", ".")[0] == 0
    code, _, err = nnreg("other")
    assert code == 2
    assert "nnreg-broken (failed: SystemExit: 3 (nnreg_broken.py, line 1))" in err
    code, _, err = nnreg("trian")
    assert "did you mean 'nnreg run'?" in err


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ("{'run': greet}", "registers the command 'run', which is built in; rename it"),
        ("{'Greet me': greet}", "registers the command 'Greet me'; expected lowercase letters"),
        ("{'greet': print}", "registers the command 'greet' as <built-in function print>"),
        ("[greet]", "returned list; expected a mapping of name to click.Command"),
        ("1 / 0", "ZeroDivisionError: division by zero (nnreg_greet.py, line "),
    ],
)
def test_plugins_reports_commands_that_are_not_valid(nnreg, install, names, why):
    install("nnreg-greet", commands(names), plugin="greet")
    code, out, _ = nnreg("plugins")
    assert code == 0
    assert f"greet failed: nnreg_commands: {why}" in out
    assert nnreg("run", "--help")[1].startswith("Usage: nnreg run [OPTIONS] SPEC")
    assert nnreg("greet", "Ada")[0] == 2


def test_plugins_lists_the_commands_of_each_plugin(nnreg, install):
    install("nnreg-greet", commands(), plugin="greet")
    assert "command: greet\n" in nnreg("plugins")[1]
    rows = json.loads(nnreg("plugins", "--json")[1])
    assert rows[-1]["provides"] == {"command": ["greet"]}


def test_a_command_that_two_plugins_have_is_refused_until_one_is_blocked(nnreg, install):
    install("nnreg-a", commands(), plugin="a")
    install("nnreg-b", commands(), plugin="b")
    code, _, err = nnreg("greet", "Ada")
    assert code == 2
    assert err == (
        "error: the plugins a, b have a command 'greet'; block all but one: nnreg -p no:b greet\n"
    )
    assert nnreg("-p", "no:b", "greet", "Ada") == (0, "Ada\n", "")


def completed(nnreg, monkeypatch, *words):
    monkeypatch.setenv("_NNREG_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(["nnreg", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    return nnreg()[1]


def test_the_shell_completes_commands_of_plugins_and_their_options(nnreg, install, monkeypatch):
    install("nnreg-greet", commands(), plugin="greet", commands=["greet"])
    assert completed(nnreg, monkeypatch, "gr") == "plain,greet\n"
    assert "plain,--loud" in completed(nnreg, monkeypatch, "greet", "--l")
