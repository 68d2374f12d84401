"""Sampling: songs drawn from a LeLM in a running batch that requests join and leave."""
