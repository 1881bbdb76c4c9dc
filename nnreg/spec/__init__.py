"""The spec: reading JSON with comments, composing files, validating, and its JSON Schema."""
