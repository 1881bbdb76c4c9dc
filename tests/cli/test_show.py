"""`nnreg show`."""

import json
import re
from xml.etree import ElementTree

import pytest

from nnreg.cli.app import cli
from nnreg.registry.kinds import KINDS
from tests.helpers.fake_distributions import swish


def test_show_prints_the_source_location_and_the_provider(nnreg, install, tmp_path):
    install("nnreg-swish", swish(), plugin="swish")
    code, out, _ = nnreg("show", "swish")
    assert code == 0
    assert "from nnreg-swish 1.2 (plugin swish)" in out
    assert f"code {tmp_path / 'site' / 'nnreg_swish.py'}:5" in out
    (entry,) = json.loads(nnreg("show", "swish", "--json")[1])
    assert (entry["file"], entry["line"]) == (str(tmp_path / "site" / "nnreg_swish.py"), 5)
    (beta,) = entry["options"]
    assert beta == {"name": "beta", "type": "number", "default": 1.0, "meaning": ""}


def test_show_has_the_lines_of_the_docstring_in_tables_and_not_in_the_prose(nnreg, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    _, out, _ = nnreg("show", "batch_norm")
    assert re.search(r"option +type +default +meaning\n", out)
    assert re.search(r"epsilon +number > 0 +1e-05 +added to the variance, > 0\n", out)
    assert re.search(r"parameter +shape\n.*\n +gamma +\(features,\)\n", out)
    assert re.search(r"buffer +shape\n.*\n +running_mean +\(features,\)\n", out)
    assert "Options:" not in out
    (entry,) = json.loads(nnreg("show", "batch_norm", "--json")[1])
    assert entry["parameters"][0] == {"name": "gamma", "shape": "(features,)"}
    assert [array["name"] for array in entry["buffers"]] == ["running_mean", "running_variance"]
    assert entry["formula"] == "y = gamma · (x - mean) / √(variance + epsilon) + beta"
    assert "Buffers:" not in entry["documentation"]


def test_a_long_name_of_an_option_is_not_broken(nnreg):
    _, shown, _ = nnreg("show", "muon")
    assert re.search(r"\badamw_learning_rate_ratio\b", shown)


def test_show_has_no_column_of_meanings_where_the_docstring_has_none(nnreg, install):
    install("nnreg-swish", swish(), plugin="swish")
    _, out, _ = nnreg("show", "swish")
    assert re.search(r"option +type +default\n", out)
    assert "parameter " not in out


def test_the_schema_describes_every_option(nnreg):
    schema = json.loads(nnreg("schema")[1])
    bodies = [one["properties"] for one in schema["$defs"]["activation"]["anyOf"]
              if "properties" in one]  # fmt: skip
    (elu,) = (body for body in bodies if {"const": "elu"} in body["type"]["oneOf"])
    assert elu["alpha"]["description"].startswith("the negative of the limit")
    assert "Options:" not in json.dumps(schema["$defs"]["activation"])


def test_show_shows_every_kind_of_a_name_unless_one_is_given(nnreg):
    def kinds(*args):
        return [entry["kind"] for entry in json.loads(nnreg("show", *args, "--json")[1])]

    assert kinds("mean_squared_error") == ["loss", "metric"]
    assert kinds("loss.mean_squared_error") == ["loss"]
    assert kinds("mean_squared_error", "--kind", "metric") == ["metric"]


def test_show_shows_every_provider_of_a_name_unless_one_is_given(nnreg, install, tmp_path):
    install("nnreg-elu", swish("elu"), plugin="elu")
    (tmp_path / "loss.py").write_text(swish("elu"))

    def shown(*args):
        out = json.loads(nnreg("show", *args, "--plugin", tmp_path / "loss.py", "--json")[1])
        return [(entry["distribution"], entry["spec_name"]) for entry in out]

    every = [("nnreg", "nnreg:elu"), ("nnreg-elu", "nnreg-elu:elu"), ("loss.py", "loss.py:elu")]
    assert shown("elu") == shown("activation.elu") == every
    assert shown("nnreg_Elu:elu") == shown("activation.nnreg-elu:elu") == every[1:2]
    assert shown("loss.py:elu") == shown("activation.loss.py:elu") == every[2:]
    out = nnreg("show", "nnreg-elu:elu")[1]
    assert 'in a spec "nnreg-elu:elu"' in out
    assert "in a spec" not in nnreg("show", "nnreg:elu")[1]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nnreg:reluu"], "no component 'nnreg:reluu'; did you mean 'nnreg:relu'?"),
        (
            ["loss.nreg:huber"],
            "no loss 'nreg:huber', as no plugin of 'nreg' provides any; did you mean "
            "'nnreg:huber'?",
        ),
        (["los.huber"], "no kind 'los'; did you mean 'loss'?"),
        (["loss.relu"], "no loss 'relu'"),
        (
            ["huber", "--plot", "x.svg"],
            "huber is not an activation or schedule; only thos",
        ),
        (["huber", "--set", "delta=1"], "huber is not an activation"),
        (
            ["elu", "--set", "alpha=99"],
            "--set alpha=99: must be less than or equal to 10, found 99",
        ),
        (["relu", "--plot", "nowhere/x.svg"], "nowhere/x.svg: cannot write: No such file"),
    ],
)
def test_show_reports_errors(nnreg, tmp_path, monkeypatch, args, message):
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


def test_an_activation_that_cannot_be_drawn_is_shown_without_a_curve(nnreg, install):
    install("nnreg-swish", swish().replace("return x *", "return 1 / 0 *"), plugin="swish")
    code, out, err = nnreg("show", "swish")
    assert code == 0
    assert "from nnreg-swish 1.2" in out
    assert "cannot be drawn: ZeroDivisionError" in err


def test_an_option_without_a_default_is_required_for_drawing(nnreg, install, tmp_path):
    install("nnreg-swish", swish().replace("float = 1.0", "float"), plugin="swish")
    assert nnreg("show", "swish")[0] == 0
    file = tmp_path / "swish.svg"
    code, _, err = nnreg("show", "swish", "--plot", file)
    assert code == 2
    assert "swish has an option without a default; set it with --set" in err
    assert nnreg("show", "swish", "--plot", file, "--set", "beta=2")[0] == 0
    assert "swish (beta=2)" in file.read_text()


def test_show_draws_a_schedule_with_options_in_the_terminal_and_to_a_file(nnreg, tmp_path):
    file = tmp_path / "cosine.svg"
    code, out, _ = nnreg("show", "cosine", "--set", "restarts=2", "--plot", file)
    assert code == 0
    assert re.search("━━ factor", out)
    assert re.search(r"\n +0 +epoch +60\n", out)
    assert "cosine (restarts=2)" in file.read_text()


def test_an_svg_is_self_contained_and_labels_both_curves(nnreg, tmp_path):
    for name in ("relu", "softmax", "gelu"):
        file = tmp_path / f"{name}.svg"
        assert nnreg("show", name, "--plot", file)[0] == 0
        text = file.read_text()
        assert "prefers-color-scheme: dark" in text
        assert not re.search(r"(href|src|url\()", text)
        root = ElementTree.fromstring(text)
        space = "{http://www.w3.org/2000/svg}"
        texts = [node.text for node in root.iter(f"{space}text")]
        assert texts[0] == name
        assert {"0", "x"} < set(texts)
        labels = [text for text in texts if text in ("y", "dy/dx", "y₁(x, 0)", "dy₁/dx")]
        assert len(labels) == 2


def test_every_kind_has_a_command_to_show_it(nnreg):
    assert set(cli.commands) >= {"show", "plugins", "completion"}
    rows = json.loads(nnreg("plugins", "--json")[1])
    assert set(rows[0]["provides"]) == set(KINDS)
