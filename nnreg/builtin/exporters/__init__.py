"""The formats in which a model can be written."""
