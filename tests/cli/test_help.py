"""Help texts, and suggestions for mistyped commands and options."""

import io
import re

import click
import pytest

from nnreg.cli._help import GROUPS, summary
from nnreg.cli._output import wrapped
from nnreg.cli.app import cli, main

with pytest.raises(SystemExit):
    main(["--version"])  # this imports the commands


def all_commands(group=cli, path=("nnreg",)):
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from all_commands(command, (*path, name))


COMMANDS = dict(all_commands())
EACH = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)


@EACH
def test_every_command_has_an_example_of_itself_in_its_help(path):
    command = COMMANDS[path]
    _, _, examples = command.help.partition("\b\n")
    assert any(line.strip().startswith(" ".join(path)) for line in examples.splitlines())


@EACH
def test_every_command_has_a_summary_that_fits_on_one_line(path):
    text = summary(COMMANDS[path])
    assert "..." not in text
    assert len(text) <= 78 - 2 - max(len(name) for name in cli.commands) - 2


@pytest.mark.parametrize("columns", [40, 200])
@EACH
def test_help_is_as_wide_as_the_terminal_up_to_80_columns(path, columns, nnreg, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    out = nnreg(*path[1:], "--help")[1]
    prose = [line for line in out.splitlines() if not re.search(r"nnreg|[^ ]{15}", line)]
    assert max(map(len, prose)) <= min(columns, 80)


def test_every_command_is_under_a_heading():
    assert set(cli.commands) <= {name for names in GROUPS.values() for name in names}


def test_without_a_command_the_help_is_printed(nnreg):
    for args in ((), ("plugin",)):
        code, out, err = nnreg(*args)
        assert (code, err) == (0, "")
        assert out == nnreg(*args, "--help")[1]
        assert out.startswith("Usage: nnreg")


@pytest.mark.parametrize(
    ("line", "suggestion"),
    [
        ("trian spec.json", "'nnreg run'"),
        ("train spec.json", "'nnreg run'"),
        ("fit spec.json", "'nnreg run'"),
        ("rsume runs/a", "'nnreg resume'"),
        ("eval runs/a", "'nnreg evaluate'"),
        ("Predict runs/a", "'nnreg predict'"),
        ("version", "'nnreg --version'"),
        ("plugin chek mish", "'nnreg plugin check'"),
        ("run --epoch 3 spec.json", "'--set train.epochs=3'"),
        ("run --epochs=7 spec.json", "'--set train.epochs=7'"),
        ("run --lr 0.1 spec.json", "'--set optimizer.learning_rate=0.1'"),
        ("run spec.json --batch-size 8", "'--set train.batch_size=8'"),
        ("run spec.json --seed", "'--set seed=VALUE'"),
        ("run spec.json --evry 3", "'--every'"),
        ("run spec.json --plugins a.py", "'--plugin'"),
        ("plugin check mish --example 3", "'--examples'"),
        ("predict runs/a b.csv --jsn", "'--json'"),
        ("--versoin", "'--version'"),
    ],
)
def test_a_mistyped_command_or_option_gets_a_suggestion(line, suggestion, nnreg):
    code, out, err = nnreg(*line.split())
    assert (code, out) == (2, "")
    assert f"did you mean {suggestion}?" in err.splitlines()[0]


def test_an_unrecognizable_command_gets_the_choices(nnreg):
    assert "choose one of" in nnreg("xyzzy")[2]
    assert nnreg("run", "--xyzzy")[2].startswith("error: no option '--xyzzy'\nusage: nnreg run ")


@EACH
def test_the_shell_completes_every_command_and_option(path, monkeypatch, capfd):
    def completed(words):
        monkeypatch.setenv("_NNREG_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", " ".join(words))
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        with pytest.raises(SystemExit):
            main([])
        return {line.split(",", 1)[1] for line in capfd.readouterr().out.splitlines()}

    *before, name = path
    assert name in completed([*before, name[:2]])
    options = {option for param in COMMANDS[path].params for option in param.opts}
    assert {o for o in options if o.startswith("--")} <= completed([*path, "--"])


@pytest.mark.parametrize("columns", [40, 80])
def test_an_error_is_wrapped_between_words_and_its_command_is_not(columns, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("COLUMNS", str(columns))
    error = "error: " + "some words that explain what is wrong and what to do " * 3
    command = (
        "resume: nnreg resume runs/a-long-name-001 --set optimizer.learning_rate=0.001 --quiet"
    )
    excerpt = "   9 |     {'type': 'dense', 'units': 32, 'activation': 'rleu', 'a': 1, 'b': 2}, --"
    lines = wrapped(f"{error}\n{excerpt}\n{command}", Terminal()).splitlines()
    assert lines[-2:] == [excerpt, command]
    assert " ".join(lines[:-2]).split() == error.split()
    assert max(map(len, lines[:-2])) <= columns
    assert wrapped(error, io.StringIO()) == error


def test_a_wrong_call_prints_the_usage(nnreg):
    assert nnreg("run")[2].splitlines() == [
        "error: missing argument 'SPEC'",
        "usage: nnreg run [OPTIONS] SPEC",
        "help: nnreg run --help",
    ]
