"""Formulas that turn sound into spectra, chroma, onsets and pitch, for every annotator that works without a model."""
