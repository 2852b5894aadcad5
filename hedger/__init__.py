"""Decides, then does: from a market and a book to the cheapest hedge ticket."""
