"""Ingest, separation, tokenizing and labelling of a corpus."""
