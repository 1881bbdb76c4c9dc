"""Tests of drawing in SVG."""
