"""Models: a network built from a spec, with its preprocessing, loss, metrics and history."""
