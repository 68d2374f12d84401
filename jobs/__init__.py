"""Programs: the only place that reads arguments, opens a cluster or talks to MLflow."""
