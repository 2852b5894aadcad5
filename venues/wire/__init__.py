"""What exchanges send, read into our own types: one pure module a venue, no socket, no clock."""
