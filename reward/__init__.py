"""How good a generated song is, and which of two is better."""
