"""When a hedge is due, and why not."""
