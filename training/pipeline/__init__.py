"""model_selector and model_trainer as plain functions: no database, no Django, no MLflow.

What they need from outside arrives as arguments: a data set, a recorder of nodes, a tracker of
runs. State goes from node to node in frozen dataclasses.
"""
