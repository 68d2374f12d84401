"""How well an annotation matches the truth: pure metrics for stems, sections and tempo."""
