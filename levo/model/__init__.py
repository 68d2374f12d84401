"""LeLM: conditions, two towers, the delay pattern and sampling."""
