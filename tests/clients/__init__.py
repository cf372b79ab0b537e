"""Scripts by people who never heard of E2I; each is run in a process of its own."""
