"""Runs of the engine: on the wall clock and over a tape."""
