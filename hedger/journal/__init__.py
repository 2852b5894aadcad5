"""What we did: one chain of records, durable before anything leaves, and what comes back from it."""
