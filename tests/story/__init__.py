"""Whole-engine runs."""
