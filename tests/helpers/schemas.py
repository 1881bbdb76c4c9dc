"""The JSON Schema of specs; `tests/spec/test_validation.py` checks that it is a valid one."""

import functools

import jsonschema

from nnreg.spec.json_schema import json_schema


@functools.cache
def validator():
    """Return the validator of specs with the components that were installed at the first call."""
    return jsonschema.Draft202012Validator(json_schema())
