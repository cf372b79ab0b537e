"""The search line over models, made of the same parts as the one over runs."""
