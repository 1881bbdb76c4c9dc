"""What `nnreg plugins`, `show` and `completion` print, and the options that choose plugins."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from nnreg.builtin import activations, schedules
from nnreg.cli.app import cli, main
from nnreg.plotting import components
from nnreg.plotting.braille import draw
from nnreg.registry.registry import KINDS, installed
from tests.helpers.fake_distributions import many, swish
from tests.helpers.specs import CSV, WITH_SWISH, classifier, csv_data


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """Write a spec that names swish, which nobody provides yet."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)
    (tmp_path / "rows.csv").write_text("island,length,depth\nnorth,1.0,5.2\n")
    (tmp_path / "plain.json").write_text(json.dumps(classifier(data=csv_data())))
    (tmp_path / "spec.json").write_text(json.dumps(WITH_SWISH))
    return "spec.json"


# Plugins from files, and which plugins


def test_a_plugin_file_serves_every_command_that_reads_a_spec_or_a_checkpoint(
    spec, nnreg, tmp_path
):
    (tmp_path / "swish.py").write_text(swish())
    given = ("--plugin", "./swish.py")
    for command in (
        ("validate", spec),
        ("run", spec, "--out", "out", "--quiet"),
        ("resume", "out", "--quiet", "--set", "train.epochs=3"),
        ("evaluate", "out", "--json"),
        ("predict", "out", "rows.csv"),
        ("schema",),
        ("plugins",),
        ("show", "swish"),
    ):
        code, out, err = nnreg(*command, *given)
        assert (code, err) == (0, ""), command
        if command[0] in ("schema", "plugins", "show"):
            assert "swish.py" in out


def test_a_run_of_a_plugin_file_tells_the_exact_command_when_the_file_is_missing(
    spec, nnreg, tmp_path
):
    (tmp_path / "swish.py").write_text(swish())
    nnreg("run", spec, "--out", "out", "--plugin", "swish.py")
    for command in (
        ["predict", "out", "rows.csv", "--json"], ["evaluate", "out"], ["resume", "out"],
    ):  # fmt: skip
        code, out, err = nnreg(*command)
        assert (code, out) == (4, "")
        assert re.search(r"the activation 'swish' of swish\.py \w{12}, which is a file", err)
        line = err.splitlines()[-1]
        assert line == f"run: nnreg {' '.join(command)} --plugin swish.py"
        assert nnreg(*line.split()[2:])[0] == 0


def test_the_command_names_the_file_where_it_lies(spec, nnreg, tmp_path):
    (tmp_path / "models").mkdir()
    for name in ("spec.json", "data.csv"):
        (tmp_path / name).rename(tmp_path / "models" / name)
    (tmp_path / "models" / "nnregfile.py").write_text(swish())
    assert nnreg("run", "models/spec.json", "--out", "out")[0] == 0
    last = nnreg("evaluate", "out")[2].splitlines()[-1]
    assert last == "run: nnreg evaluate out --plugin models/nnregfile.py"
    (tmp_path / "models" / "nnregfile.py").unlink()
    assert nnreg("evaluate", "out")[2].endswith("--plugin nnregfile.py\n")


def test_an_nnregfile_beside_the_spec_is_loaded_and_told(spec, nnreg, tmp_path):
    (tmp_path / "nnregfile.py").write_text(f"print('noise')\n{swish()}")
    code, out, err = nnreg("validate", spec, "--json")
    assert (code, json.loads(out)["valid"]) == (0, True)
    assert err == "noise\nnote: plugin nnregfile.py is loaded for this spec\n"
    assert nnreg("-p", "no:nnregfile.py", "validate", spec)[0] == 2
    assert nnreg("plugins")[1].count("nnregfile") == 0


def test_a_plugin_file_that_fails_is_told_and_the_rest_goes_on(spec, nnreg, tmp_path):
    (tmp_path / "bad.py").write_text("x = 1\nraise SystemExit(3)")
    code, _, err = nnreg("validate", "plain.json", "--plugin", "bad.py")
    assert code == 0
    assert err == "note: plugin bad.py failed: SystemExit: 3 (bad.py, line 2)\n"
    assert nnreg("validate", spec, "--plugin", "nowhere.py")[0] == 2


def test_options_before_the_command_and_the_environment_block_plugins(
    spec, nnreg, install, monkeypatch
):
    install("nnreg-swish", swish(), plugin="swish")
    assert nnreg("validate", spec)[0] == 0
    code, _, err = nnreg("-p", "no:swish", "validate", spec)
    assert code == 2
    assert "no activation 'swish'" in err
    assert "nnreg-swish (blocked: by -p no:swish)" in err
    monkeypatch.setenv("NNREG_PLUGINS", "")
    assert "nnreg-swish (blocked: by NNREG_PLUGINS='')" in nnreg("validate", spec)[2]


@pytest.mark.parametrize("value", ["swish", "no:", ""])
def test_what_to_block_is_written_with_no(nnreg, value):
    code, _, err = nnreg("-p", value, "plugins")
    assert code == 2
    assert "expected no:NAME" in err


def test_a_blocked_plugin_is_imported_by_no_command(spec, nnreg, install, tmp_path):
    many(tmp_path / "site", tmp_path / "log", count=1)
    for command in (
        ("run", "plain.json", "--out", "out"), ("resume", "out"), ("evaluate", "out"),
        ("predict", "out", "rows.csv"), ("validate", "plain.json"), ("schema",), ("plugins",),
        ("show", "relu"),
    ):  # fmt: skip
        assert nnreg("-p", "no:swish0", *command)[0] == 0, command
    assert not (tmp_path / "log").exists()


def test_unmet_requirements_exit_with_4_and_the_line_to_type(spec, nnreg):
    code, _, err = nnreg("run", spec, "--set", 'requires=["nnreg-mish>=1.2"]')
    assert code == 4
    assert err == (
        "error: spec.json: requires nnreg-mish>=1.2 (not installed); "
        "run: pip install 'nnreg-mish>=1.2'\n"
    )


def test_plugins_tells_of_a_name_that_two_offer(nnreg, install):
    install("nnreg-a", swish(), plugin="a")
    install("nnreg-b", swish(), plugin="b")
    assert (
        "activation 'swish' is offered by nnreg-a 1.2 (plugin a) and nnreg-b 1.2 (plugin b); "
        "block one with nnreg -p no:b …, or uninstall one of these distributions\n"
    ) in nnreg("plugins")[1]


# What starting costs


def run_counting(folder, *command):
    """Run a command beside 30 plugins; return how often each was imported."""
    log = folder / "log"
    log.unlink(missing_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(folder / "site")}
    done = subprocess.run(
        [sys.executable, "-m", "nnreg", *command], env=environment, capture_output=True, check=True
    )
    return done.stdout.decode(), sorted(log.read_text().split()) if log.exists() else []


def test_commands_that_need_no_plugin_import_none(spec, nnreg, install, tmp_path):
    nnreg("run", "plain.json", "--out", "out")
    many(tmp_path / "site", tmp_path / "log")
    for command in (["--help"], ["--version"], ["inspect", "out"], ["completion", "zsh"],
                    ["run", "--help"]):  # fmt: skip
        assert run_counting(tmp_path, *command)[1] == [], command


def test_each_plugin_is_imported_once_where_they_are_needed(spec, install, tmp_path):
    many(tmp_path / "site", tmp_path / "log")
    names = sorted(f"swish{index}" for index in range(30))
    out, imported = run_counting(tmp_path, "validate", "plain.json")
    assert imported == names
    assert "valid" in out


def test_what_is_installed_is_looked_through_once(spec, nnreg, monkeypatch):
    calls = []
    found = importlib.metadata.entry_points

    def entry_points(**what):
        calls.append(what)
        return found(**what)

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    assert nnreg("run", "plain.json", "--out", "out")[0] == 0
    assert calls == [{"group": "nnreg"}]


# nnreg plugins


def test_plugins_tells_state_error_and_mend(nnreg, install):
    install("nnreg-good", swish("good"), plugin="good", requires=["nnreg>=0.1"])
    install("nnreg-bad", "1 / 0", plugin="bad")
    install("nnreg-new", swish("new"), plugin="new", requires=["numpy", "nnreg >= 9"])
    install("nnreg-off", swish("off"), plugin="off")
    code, out, err = nnreg("-p", "no:nnreg-off", "plugins", "--json")
    assert (code, err) == (0, "")
    rows = {row["plugin"]: row for row in json.loads(out)}
    assert {name: row["state"] for name, row in rows.items()} == {
        "nnreg": "loaded", "good": "loaded", "bad": "failed", "new": "failed", "off": "blocked",
    }  # fmt: skip
    assert rows["good"]["provides"] == {"activation": ["good"]}
    assert rows["good"]["hooks"] == ["nnreg_activations"]
    assert rows["off"]["blocked_by"] == "-p no:nnreg-off"
    assert rows["bad"]["failures"] == [
        {"error": "ZeroDivisionError: division by zero (nnreg_bad.py, line 1)",
         "fix": "pip install -U nnreg-bad, or do without: nnreg -p no:bad …"}
    ]  # fmt: skip
    assert rows["new"]["failures"] == [
        {"error": "needs nnreg>=9; this is 0.1.0", "fix": "pip install -U nnreg"}
    ]
    out = nnreg("-p", "no:nnreg-off", "plugins")[1]
    assert "new failed: needs nnreg>=9; this is 0.1.0\n  fix: pip install -U nnreg\n" in out
    assert "off is blocked by -p no:nnreg-off\n" in out


def test_plugins_tells_of_slow_imports_and_of_the_events_heard(nnreg, install):
    install("nnreg-slow", f"import time\ntime.sleep(0.6)\n{swish('slow')}", plugin="slow")
    hook = "@hookimpl\ndef nnreg_epoch_ended(record):\n    pass\n"
    install("nnreg-log", f"from nnreg import hookimpl\n{hook}", plugin="log")
    out = nnreg("plugins")[1]
    assert "loaded in 0.6 s" in out
    assert "hears: nnreg_epoch_ended" in out


def test_what_plugins_print_stays_out_of_the_results(spec, nnreg, install):
    hook = "@hookimpl\ndef nnreg_epoch_ended(record):\n    print('LOUD')\n"
    code = f"print('LOUD')\n{swish().replace('return', 'print(1); return')}\n{hook}"
    install("nnreg-loud", code, plugin="loud")
    code, out, err = nnreg("run", "plain.json", "--json", "--out", "out")
    assert code == 0
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["epoch"] * 5 + ["end"]
    assert err.count("LOUD") == 1 + 5


# nnreg show


def test_show_tells_where_the_code_is_and_who_provides_it(nnreg, install, tmp_path):
    install("nnreg-swish", swish(), plugin="swish")
    code, out, _ = nnreg("show", "swish")
    assert code == 0
    assert "from nnreg-swish 1.2 (plugin swish)" in out
    assert f"code {tmp_path / 'site' / 'nnreg_swish.py'}:5" in out
    (entry,) = json.loads(nnreg("show", "swish", "--json")[1])
    assert (entry["file"], entry["line"]) == (str(tmp_path / "site" / "nnreg_swish.py"), 5)
    assert entry["options"] == [{"name": "beta", "type": "number", "default": 1.0}]


def test_show_shows_every_kind_of_a_name_unless_one_is_asked_for(nnreg):
    def kinds(*args):
        return [entry["kind"] for entry in json.loads(nnreg("show", *args, "--json")[1])]

    assert kinds("mean_squared_error") == ["loss", "metric"]
    assert kinds("loss.mean_squared_error") == ["loss"]
    assert kinds("mean_squared_error", "--kind", "metric") == ["metric"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["los.huber"], "no kind 'los'; did you mean 'loss'?"),
        (["loss.relu"], "no loss 'relu'"),
        (
            ["huber", "--plot", "x.svg"],
            "huber is no activation or schedule, and only thos",
        ),
        (["huber", "--set", "delta=1"], "huber is no activation"),
        (
            ["elu", "--set", "alpha=99"],
            "--set alpha=99: must be less than or equal to 10, found 99",
        ),
        (["relu", "--plot", "nowhere/x.svg"], "nowhere/x.svg: cannot write: No such file"),
    ],
)
def test_show_says_what_it_cannot(nnreg, tmp_path, monkeypatch, args, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = nnreg("show", *args)
    assert (code, out) == (2, "")
    assert message in err


def test_show_draws_an_activation_as_wide_as_the_terminal(nnreg, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    for width in (50, 80):
        monkeypatch.setenv("COLUMNS", str(width))
        lines = nnreg("show", "tanh")[1].splitlines()
        picture = [line for line in lines if re.search("[⠁-⣿]", line)]
        assert len(picture) == 14
        assert max(map(len, picture)) <= width
        assert "\x1b" not in "".join(lines)
        assert any("━━ y   ┅┅ dy/dx" in line for line in lines)


def test_an_activation_that_cannot_be_drawn_is_shown_without(nnreg, install):
    install("nnreg-swish", swish().replace("return x *", "return 1 / 0 *"), plugin="swish")
    code, out, err = nnreg("show", "swish")
    assert code == 0
    assert "from nnreg-swish 1.2" in out
    assert "cannot be drawn: ZeroDivisionError" in err


def test_an_option_without_default_is_asked_for_before_drawing(nnreg, install, tmp_path):
    install("nnreg-swish", swish().replace("float = 1.0", "float"), plugin="swish")
    assert nnreg("show", "swish")[0] == 0
    file = tmp_path / "swish.svg"
    code, _, err = nnreg("show", "swish", "--plot", file)
    assert code == 2
    assert "swish has an option without a default; give it with --set" in err
    assert nnreg("show", "swish", "--plot", file, "--set", "beta=2")[0] == 0
    assert "swish (beta=2)" in file.read_text()


# The pictures themselves


def test_the_curves_are_the_function_and_its_derivative():
    drawn = components.chart(activations.Tanh(), samples=101)
    value, slope = drawn.curves
    assert (value.label, slope.label) == ("y", "dy/dx")
    np.testing.assert_allclose(value.y, np.tanh(value.x))
    np.testing.assert_allclose(slope.y, 1 - np.tanh(slope.x) ** 2)
    assert drawn.up.low < -1 < 1 < drawn.up.high


def test_softmax_is_drawn_as_the_first_of_two_outputs():
    value, slope = components.chart(activations.Softmax(), samples=101).curves
    assert (value.label, slope.label) == ("y₁(x, 0)", "dy₁/dx")
    sigmoid = 1 / (1 + np.exp(-value.x))
    np.testing.assert_allclose(value.y, sigmoid)
    np.testing.assert_allclose(slope.y, sigmoid * (1 - sigmoid))


def test_a_schedule_is_drawn_over_a_training_that_stops_getting_better():
    (curve,) = components.chart(schedules.Polynomial(), samples=1000).curves
    assert len(curve.x) == 480
    np.testing.assert_allclose(curve.y, 1 - curve.x / 60)
    (curve,) = components.chart(schedules.ReduceOnPlateau(), samples=480).curves
    assert np.unique(curve.y).tolist() == pytest.approx([0.001, 0.01, 0.1, 1])
    assert curve.y[8 * 30] == 1 > curve.y[8 * 31]


@pytest.mark.parametrize("name", [*installed().names("schedule"), "tanh"])
def test_a_picture_is_as_wide_and_high_as_is_asked_for(name):
    entry = installed().find("activation" if name == "tanh" else "schedule", name)
    for width in (46, 81):
        lines = draw(components.chart(entry.cls()), width=width, height=10).plain.splitlines()
        assert len(lines) == 12
        assert {len(line) for line in lines[1:]} == {width}


def test_show_draws_a_schedule_with_options_in_the_terminal_and_to_a_file(nnreg, tmp_path):
    file = tmp_path / "cosine.svg"
    code, out, _ = nnreg("show", "cosine", "--set", "restarts=2", "--plot", file)
    assert code == 0
    assert re.search("━━ factor", out)
    assert re.search(r"\n +0 +epoch +60\n", out)
    assert "cosine (restarts=2)" in file.read_text()


def test_the_picture_rises_where_the_function_does():
    drawn = draw(components.chart(activations.Identity()), width=46, height=10)
    lines = drawn.plain.splitlines()[1:11]
    solid = [[i for i, c in enumerate(line[6:]) if "⠀" < c <= "⣿"] for line in lines]
    assert min(solid[0]) > 35
    assert max(solid[-1]) < 5


def test_an_svg_stands_alone_and_labels_both_curves(nnreg, tmp_path):
    for name in ("relu", "softmax", "gelu"):
        file = tmp_path / f"{name}.svg"
        assert nnreg("show", name, "--plot", file)[0] == 0
        text = file.read_text()
        assert "prefers-color-scheme: dark" in text
        assert not re.search(r"(href|src|url\()", text)
        root = ElementTree.fromstring(text)
        space = "{http://www.w3.org/2000/svg}"
        words = [node.text for node in root.iter(f"{space}text")]
        assert words[0] == name
        assert {"0", "x"} < set(words)
        labels = [word for word in words if word in ("y", "dy/dx", "y₁(x, 0)", "dy₁/dx")]
        assert len(labels) == 2


def test_an_activation_without_a_finite_value_is_not_drawn():
    class Nothing(activations.Identity):
        def forward(self, x):
            return x * np.nan, lambda dy: dy * np.nan

    with pytest.raises(ValueError, match="no value between -5 and 5 is finite"):
        components.chart(Nothing())


# Completion


def complete(monkeypatch, capfd, words, shell="bash"):
    """Return what the shell is told for the last of these words."""
    monkeypatch.setenv("_NNREG_COMPLETE", f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(["nnreg", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    capfd.readouterr()
    with pytest.raises(SystemExit):
        main([])
    out, err = capfd.readouterr()
    assert err == ""
    return out.split()


def test_the_shell_completes_components_specs_and_runs(spec, monkeypatch, capfd, tmp_path):
    (tmp_path / "runs" / "spec-001" / "checkpoints").mkdir(parents=True)
    (tmp_path / "models").mkdir()
    (tmp_path / "swish.py").write_text(f"print('noise')\n{swish()}")

    def words(*typed):
        return complete(monkeypatch, capfd, typed)

    assert words("show", "leaky") == ["plain,leaky_relu"]
    assert words("show", "loss.hu") == ["plain,loss.huber"]
    assert words("show", "--kind", "metric", "mean_sq") == ["plain,mean_squared_error"]
    assert words("show", "--plugin", "swish.py", "swi") == ["plain,swish"]
    assert words("-p", "no:swish.py", "show", "--plugin", "swish.py", "swi") == []
    assert words("plugin", "check", "leaky") == ["plain,leaky_relu"]
    assert words("plugin", "check", "nnr") == ["plain,nnreg"]
    assert words("plugin", "check", "sw") == ["plain,swish.py"]
    assert words("run", "s") == ["plain,spec.json"]
    assert words("run", "mod") == ["dir,mod"]
    assert words("resume", "runs/") == ["plain,runs/spec-001"]
    assert words("predict", "runs/s") == ["plain,runs/spec-001"]
    assert words("predict", "runs/spec-001", "d") == ["file,d"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_line_for_the_shells_own_file(nnreg, shell):
    code, out, _ = nnreg("completion", shell)
    assert code == 0
    assert out.startswith("# To have it in every shell, add this line to ~/")
    assert f"nnreg completion {shell}" in out
    assert f"_NNREG_COMPLETE={shell}_complete" in out


def test_every_kind_has_a_command_to_show_it(nnreg):
    assert set(cli.commands) >= {"show", "plugins", "completion"}
    rows = json.loads(nnreg("plugins", "--json")[1])
    assert set(rows[0]["provides"]) == set(KINDS)
