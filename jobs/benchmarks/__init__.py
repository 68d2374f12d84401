"""Benchmarks of speed and memory: each arm in a process of its own, arms by turns, ratios of medians."""
