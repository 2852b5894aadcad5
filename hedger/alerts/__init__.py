"""Alerts: a process of its own that reads the journal and tells people. Nothing here holds an engine up."""
