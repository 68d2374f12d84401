"""What a run tells while it works: numbers for Prometheus, and log lines that say what they are about."""
