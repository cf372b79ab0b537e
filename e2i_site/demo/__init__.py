"""The demo lifecycle: real data, training and traffic, through the same actions as the site."""
