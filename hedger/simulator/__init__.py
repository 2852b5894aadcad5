"""The engine in virtual time under seeded faults, and the history checker that judges it."""
