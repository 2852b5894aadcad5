"""The commands: words in, tables or JSON out, one exit code."""
