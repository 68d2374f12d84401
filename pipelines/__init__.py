"""Ray flows, each a list of stages and nothing clever."""
