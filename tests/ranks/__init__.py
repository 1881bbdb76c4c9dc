"""Tests of trainings on several processes."""
