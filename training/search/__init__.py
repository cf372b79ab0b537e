"""The search line over runs: how it reads, what it means to the database, and the order."""
