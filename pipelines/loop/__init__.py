"""Training, serving, sampling, scoring, pairing and evaluation."""
