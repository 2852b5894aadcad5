"""What the book stands to gain or lose: an exact ledger, costs, exposures and the bands they must stay in."""
