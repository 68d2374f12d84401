"""What a run's song models are called, in its folders, tables and registry."""

INITIAL, BASE = "initial", "base"
CONTROL = "control"
"""No model: songs of the renderer."""
INTERPOLATED = "interpolated"
