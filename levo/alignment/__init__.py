"""Preference alignment: DPO, reference log-probabilities and interpolation."""
