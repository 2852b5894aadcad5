"""From book and market to the optimisation problem, and from its answer to trades on listings."""
