"""Tracking: what a run did, as a stream of events that MLflow shows and a JSON-lines file keeps."""
