"""Tests with untrusted input: adversarial checkpoints, and mutated checkpoints and specs."""
