"""Tests of reports and their charts."""
