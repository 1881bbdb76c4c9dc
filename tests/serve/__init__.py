"""Tests of the server of predictions."""
