"""The supervised stages: batches, losses, what is frozen, optimiser, schedule and loop."""
