"""model_selector: which algorithm to train, on what evidence."""
