"""Tests of loading, splitting and preprocessing data."""
