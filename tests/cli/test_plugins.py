"""`nnreg plugins`, and the options that select plugins."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.fake_distributions import many, swish
from tests.helpers.work import Clock


def test_every_command_that_reads_a_spec_or_a_checkpoint_takes_a_plugin_file(spec, nnreg, tmp_path):
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


def test_the_error_for_a_missing_plugin_file_has_the_exact_command(spec, nnreg, tmp_path):
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


def test_the_command_has_the_path_of_the_file(spec, nnreg, tmp_path):
    (tmp_path / "models").mkdir()
    for name in ("spec.json", "data.csv"):
        (tmp_path / name).rename(tmp_path / "models" / name)
    (tmp_path / "models" / "nnregfile.py").write_text(swish())
    assert nnreg("run", "models/spec.json", "--out", "out")[0] == 0
    last = nnreg("evaluate", "out")[2].splitlines()[-1]
    assert last == "run: nnreg evaluate out --plugin models/nnregfile.py"
    (tmp_path / "models" / "nnregfile.py").unlink()
    assert nnreg("evaluate", "out")[2].endswith("--plugin nnregfile.py\n")


def test_an_nnregfile_beside_the_spec_is_loaded_and_reported(spec, nnreg, tmp_path):
    (tmp_path / "nnregfile.py").write_text(f"print('noise')\n{swish()}")
    code, out, err = nnreg("run", spec, "--json", "--no-report", "--quiet")
    assert (code, json.loads(out.splitlines()[-1])["event"]) == (0, "end")
    assert err == "noise\nnote: plugin nnregfile.py is loaded for this spec\n"
    assert nnreg("-p", "no:nnregfile.py", "run", spec)[0] == 2
    assert nnreg("plugins")[1].count("nnregfile") == 0


def test_a_plugin_file_that_fails_is_reported_and_the_command_continues(spec, nnreg, tmp_path):
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
def test_a_blocked_plugin_needs_the_prefix_no(nnreg, value):
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


def test_unmet_requirements_exit_with_4_and_the_install_command(spec, nnreg):
    code, _, err = nnreg("run", spec, "--set", 'requires=["nnreg-mish>=1.2"]')
    assert code == 4
    assert err == (
        "error: spec.json: requires nnreg-mish>=1.2 (not installed); "
        "run: pip install 'nnreg-mish>=1.2'\n"
    )


def test_plugins_reports_a_name_registered_by_two(nnreg, install):
    install("nnreg-a", swish(), plugin="a")
    install("nnreg-b", swish(), plugin="b")
    assert (
        "activation 'swish' is provided by both nnreg-a 1.2 (plugin a) and "
        'nnreg-b 1.2 (plugin b); write "nnreg-a:swish" or "nnreg-b:swish"\n'
    ) in nnreg("plugins")[1]


def test_plugins_reports_what_a_name_means_that_a_built_in_has_too(nnreg, install, tmp_path):
    install("nnreg-elu", swish("elu"))
    _, out, _ = nnreg("plugins")
    assert re.search(
        r"activation 'elu' means that of nnreg \S+ \(\"nnreg:elu\"\), not that of nnreg-elu 1.2 ",
        out,
    )
    (tmp_path / "mine.py").write_text(swish("elu"))
    assert "'elu' means that of mine.py" in nnreg("plugins", "--plugin", tmp_path / "mine.py")[1]


@pytest.mark.usefixtures("spec")
def test_a_run_warns_once_about_a_name_that_a_built_in_and_a_plugin_have(nnreg, install):
    install("nnreg-tanh", swish("tanh"))
    tree = json.loads(Path("plain.json").read_text())
    tree["model"]["layers"] = [{"type": "dense", "units": 2, "activation": "tanh"}] * 2 + [
        tree["model"]["layers"][-1]
    ]
    tree["train"]["folds"] = 2
    Path("twice.json").write_text(json.dumps(tree))
    code, _, err = nnreg("run", "twice.json", "--out", "out", "--quiet")
    assert code == 0, err
    assert err.count("means that of nnreg ") == 1
    assert "means that of" not in nnreg("resume", "out/fold-1", "--set", "train.epochs=9")[2]
    change = ("--set", "model.layers.0.activation=nnreg-tanh:tanh")
    change += ("--set", "model.layers.1.activation=nnreg:tanh")
    assert "means that of" not in nnreg("validate", "twice.json", *change)[2]


def run_counting(directory, *command):
    """Run a command beside 30 plugins; return how often each was imported."""
    log = directory / "log"
    log.unlink(missing_ok=True)
    paths = filter(None, (str(directory / "site"), os.environ.get("PYTHONPATH")))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
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


def test_installed_distributions_are_searched_once(spec, nnreg, monkeypatch):
    calls = []
    found = importlib.metadata.distributions

    def distributions(**what):
        calls.append(what)
        return found(**what)

    monkeypatch.setattr(importlib.metadata, "distributions", distributions)
    assert nnreg("run", "plain.json", "--out", "out")[0] == 0
    assert calls == [{}]


def test_plugins_prints_state_error_and_fix(nnreg, install):
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
         "fix": "pip install -U nnreg-bad, or block it: nnreg -p no:bad …"}
    ]  # fmt: skip
    assert rows["new"]["failures"] == [
        {"error": "needs nnreg>=9; this is 0.1.0", "fix": "pip install -U nnreg"}
    ]
    out = nnreg("-p", "no:nnreg-off", "plugins")[1]
    assert "new failed: needs nnreg>=9; this is 0.1.0\n  fix: pip install -U nnreg\n" in out
    assert "off is blocked by -p no:nnreg-off\n" in out


def test_plugins_prints_the_failure_of_a_class_given_by_a_reference(nnreg, install):
    hook = "@hookimpl\ndef nnreg_losses():\n    return {'lost': 'nothing:Lost'}\n"
    install("nnreg-lost", f"from nnreg import hookimpl\n{hook}", plugin="lost")
    out = nnreg("plugins")[1]
    assert "lost failed: nnreg_losses: nnreg-lost 1.2 registers 'lost' as 'nothing:Lost', " in out


def test_plugins_prints_slow_imports_and_the_events_received(nnreg, install, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("nnreg.registry.loading.time", clock)
    wait = "from nnreg.registry import loading\nloading.time.now += 0.6\n"
    install("nnreg-slow", wait + swish("slow"), plugin="slow")
    hook = "@hookimpl\ndef nnreg_epoch_ended(record):\n    pass\n"
    install("nnreg-log", f"from nnreg import hookimpl\n{hook}", plugin="log")
    out = nnreg("plugins")[1]
    assert "loaded in 0.6 s" in out
    assert "events: nnreg_epoch_ended" in out


def test_the_output_of_plugins_stays_out_of_the_results(spec, nnreg, install):
    hook = "@hookimpl\ndef nnreg_epoch_ended(record):\n    print('LOUD')\n"
    code = f"print('LOUD')\n{swish().replace('return', 'print(1); return')}\n{hook}"
    install("nnreg-loud", code, plugin="loud")
    code, out, err = nnreg("run", "plain.json", "--json", "--out", "out")
    assert code == 0
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["epoch"] * 5 + ["end"]
    assert err.count("LOUD") == 1 + 5
