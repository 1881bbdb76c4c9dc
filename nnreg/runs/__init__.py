"""Runs: training by a spec, cross-validation, run directories, resuming, listing."""
