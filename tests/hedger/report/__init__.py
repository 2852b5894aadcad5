"""The report of a journal."""
