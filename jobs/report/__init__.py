"""The report: one HTML file that shows what a run measured and lets one hear it."""
