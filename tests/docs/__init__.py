"""The documentation is current, complete, and what it tells to type can be typed."""
