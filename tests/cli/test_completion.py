"""`nnreg completion`, and the completions of the shell."""

import pytest

from nnreg.cli.app import main
from tests.helpers.fake_distributions import swish


def complete(monkeypatch, capfd, words, shell="bash"):
    """Return the completions of the last of these words."""
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

    def completions(*typed):
        return complete(monkeypatch, capfd, typed)

    assert completions("example", "peng") == ["plain,penguins"]
    assert completions("show", "leaky") == ["plain,leaky_relu"]
    assert completions("show", "loss.hu") == ["plain,loss.huber"]
    assert completions("show", "--kind", "metric", "mean_sq") == ["plain,mean_squared_error"]
    assert completions("show", "--plugin", "swish.py", "swi") == ["plain,swish"]
    assert completions("-p", "no:swish.py", "show", "--plugin", "swish.py", "swi") == []
    assert completions("plugin", "check", "leaky") == ["plain,leaky_relu"]
    assert completions("plugin", "check", "nnr") == ["plain,nnreg"]
    assert completions("plugin", "check", "sw") == ["plain,swish.py"]
    assert completions("run", "s") == ["plain,spec.json"]
    assert completions("run", "mod") == ["dir,mod"]
    assert completions("resume", "runs/") == ["plain,runs/spec-001"]
    assert completions("predict", "runs/s") == ["plain,runs/spec-001"]
    assert completions("predict", "runs/spec-001", "d") == ["file,d"]
    assert completions("export", "runs/spec-001", "--to", "on") == ["plain,onnx"]


def test_the_shell_completes_qualified_names_where_a_name_has_several(monkeypatch, capfd, install):
    install("nnreg-elu", swish("elu"), plugin="elu")

    def completions(*typed):
        return complete(monkeypatch, capfd, typed)

    assert completions("show", "nnreg") == ["plain,nnreg:elu", "plain,nnreg-elu:elu"]
    assert completions("show", "nnreg:hub") == ["plain,nnreg:huber"]
    assert "plain,nnreg-elu:elu" in completions("plugin", "check", "nnreg")
    assert "plain,nnreg:relu" not in completions("plugin", "check", "nnreg")
    assert completions("plugin", "check", "nnreg:hub") == ["plain,nnreg:huber"]


def test_file_names_with_control_characters_are_not_completed(spec, monkeypatch, capfd, tmp_path):
    (tmp_path / "st\x1b]0;owned\x07\nrange.json").touch()
    (tmp_path / "stored.json").touch()
    assert complete(monkeypatch, capfd, ["run", "st"]) == ["plain,stored.json"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_line_for_the_shell_configuration(nnreg, shell):
    code, out, _ = nnreg("completion", shell)
    assert code == 0
    assert out.startswith("# To load it in every shell, add this line to ~/")
    assert f"nnreg completion {shell}" in out
    assert f"_NNREG_COMPLETE={shell}_complete" in out
