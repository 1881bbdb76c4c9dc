"""`nnreg completion`, and what the shell is given to complete."""

import pytest

from nnreg.cli.app import main
from tests.helpers.fake_distributions import swish


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
