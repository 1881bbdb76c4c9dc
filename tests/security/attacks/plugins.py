"""Invalid descriptions of components."""

from __future__ import annotations

import copy

from tests.security.harness import SPEC, attack, content, image, in_spec, of_component, signed


@attack("which is not installed; if you trust it, run: pip install nnreg-gone==1.0")
def a_plugin_that_is_not_installed(path):
    of_component(path, name="gone", distribution="nnreg-gone", version="1.0")


@attack("is not a distribution and version")
def a_plugin_that_is_a_shell_command(path):
    of_component(path, name="gone", distribution="x; rm -rf ~", version="1.0")


@attack("'os' is not a kind of component")
def a_component_of_an_unknown_kind(path):
    of_component(path, kind="os", name="system")


@attack("not a valid description of a component")
def a_distribution_with_terminal_escapes(path):
    of_component(path, distribution="\x1b[2Jnnreg")


@attack("not installed|not met|requires")
def a_spec_that_requires_a_plugin(path):
    in_spec(path, lambda spec: spec.update(requires=["nnreg-gone>=1"]))


@attack("no longer accepts the inputs of its fingerprint")
def an_input_too_large_for_fingerprints(path):
    spec = copy.deepcopy(SPEC)
    spec["model"]["layers"][0:0] = [{"type": "max_pool2d", "size": 4}, "flatten"]
    document, arrays = content(spec, (4, 4, 1))
    document["spec"]["model"]["layers"][0]["size"] = 30_000
    document["preprocessing"]["inputs"][0]["shape"] = [30_000, 30_000, 1]
    for component in document["components"]:
        component["version"] = "0.0.1"
    path.write_bytes(signed(image(document, arrays)))


@attack(r"\$.components\[0\].kind: must be a valid string")
def a_kind_that_is_a_list(path):
    of_component(path, kind=["layer"])
