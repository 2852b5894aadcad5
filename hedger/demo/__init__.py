"""What `hedger demo` plays: a market maker's book hedged on a simulated market, and the tale of a fault."""
