"""The pure half of the engine: state and event in, state and decision out."""
