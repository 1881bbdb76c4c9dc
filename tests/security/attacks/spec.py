"""Adversarial specs in a checkpoint."""

from __future__ import annotations

from tests.security.harness import attack, in_spec


@attack("no layer 'os.system'")
def a_dotted_path_for_a_layer(path):
    in_spec(path, lambda spec: spec["model"]["layers"].append("os.system"))


@attack(r"\$.model.layers\[0\].__reduce__: unknown key")
def an_option_that_is_code(path):
    in_spec(path, lambda spec: spec["model"]["layers"][0].update(__reduce__=["os.system", "id"]))


@attack(r"\$\.extends: only a spec in a file can extend others")
def another_file_that_the_spec_extends(path):
    base = path.with_suffix(".base.json")
    base.write_text('{"train": {"epochs": 99}}')
    in_spec(path, lambda spec: spec.update(extends=str(base)))


@attack(r"\$\.seed: must be a valid integer, found \"\${env:HOME:-1}\"")
def an_environment_variable(path):
    in_spec(path, lambda spec: spec.update(seed="${env:HOME:-1}"))


@attack("no loss 'nonsense'")
def an_unknown_component(path):
    in_spec(path, lambda spec: spec.update(loss="nonsense"))


@attack("the spec requires float32")
def a_bomb_by_spec(path):
    in_spec(path, lambda spec: spec["model"]["layers"][0].update(units=10**9))


@attack("the spec requires float32")
def a_bomb_by_spec_larger_than_any_memory(path):
    in_spec(path, lambda spec: spec["model"]["layers"][0].update(units=10**18))


@attack("nested too deep|checkpoint is inconsistent")
def deeply_nested_layers(path):
    layers = [{"type": "flatten"}]
    for _ in range(47):
        layers = [{"type": "residual", "layers": layers}]
    in_spec(path, lambda spec: spec["model"]["layers"].insert(0, *layers))


@attack("checkpoint is inconsistent")
def twenty_thousand_layers(path):
    layers = [{"type": "flatten"}] * 20_000
    in_spec(path, lambda spec: spec["model"]["layers"].__setitem__(slice(0, 0), layers))


@attack("problems are too many to list")
def fifteen_thousand_unknown_layers(path):
    layers = [{"type": f"dens{number}"} for number in range(15_000)]
    in_spec(path, lambda spec: spec["model"].update(layers=layers))


@attack(r"\$.train.freeze\[19\]: no layer 'layers/x19'")
def forty_thousand_unknown_frozen_layers(path):
    names = [f"layers/x{number}" for number in range(40_000)]
    in_spec(path, lambda spec: spec["train"].update(freeze=names))


@attack("nothing is left to train")
def every_layer_frozen_thousands_of_times(path):
    names = [f"layers/{number % 3}" for number in range(40_000)]
    in_spec(path, lambda spec: spec["train"].update(freeze=names))


@attack("too large: about")
def a_hundred_thousand_metrics(path):
    in_spec(path, lambda spec: spec.update(metrics=["accuracy"] * 100_000))


@attack(r"kernel|takes")
def a_layer_that_does_not_fit(path):
    in_spec(path, lambda spec: spec["model"]["layers"].insert(0, "global_average_pool"))
