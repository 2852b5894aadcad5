"""The cheapest trades that bring rows back inside their intervals: linear program, lots, utility."""
