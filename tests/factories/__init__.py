"""Rows for tests. One module a room; each factory makes what its object cannot be without."""
