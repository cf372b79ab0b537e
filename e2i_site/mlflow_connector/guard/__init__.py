"""The guard in front of MLflow's own server: what E2I governs is changed by E2I only.

It runs in MLflow's process and uses neither Django nor the database.
"""
