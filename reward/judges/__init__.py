"""Held-out judges by formula: they score songs, and never make a preference pair."""
