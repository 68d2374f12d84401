"""How good a song sounds on several axes: published judges of aesthetics."""
