"""What a shadow version showed: evidence, and the sequential verdict on it. Pure, no database."""
