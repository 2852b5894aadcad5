"""Runs of the engine: on the wall clock, over a tape, and as the demo."""
