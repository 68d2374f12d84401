"""Lineage of the closed loop: what each step was made with, read, used and made, from its places and results alone."""
