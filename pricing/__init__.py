"""What a contract is worth: pure functions from a market snapshot to unit values and Greeks."""
