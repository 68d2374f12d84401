"""Recipes: functions that return one whole, typed config."""
