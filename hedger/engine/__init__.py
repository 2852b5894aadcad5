"""The shell around the decisions: inbox, loop, router, clock, heartbeat, watchdog."""
