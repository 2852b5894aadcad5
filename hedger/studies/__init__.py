"""Measured answers on recorded and simulated data: what `hedger study` shows."""
