"""`python -m e2i_site.run`: every process of E2I in the foreground, started by `make run`."""
