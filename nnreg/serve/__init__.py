"""A server of the predictions of a model: JSON over HTTP."""
