"""The wall: market data comes in, orders go out, and no foreign word passes."""
