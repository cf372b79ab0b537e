"""The demo lifecycle: real data, real training, real traffic, through the same actions as the site."""
