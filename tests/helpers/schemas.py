"""The JSON Schema of specs; `tests/spec/test_validation.py` checks that it is a valid one."""

import functools

import jsonschema

from nnreg.registry.registry import installed
from nnreg.spec.json_schema import json_schema


def validator():
    """Return the validator of specs with the components that are registered now."""
    return _validator(tuple(installed().plugins))


@functools.cache
def _validator(plugins):
    """Return the validator of one set of plugins; making it takes most of a second."""
    return jsonschema.Draft202012Validator(json_schema())
