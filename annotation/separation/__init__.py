"""Separating a recording into its vocal and its accompaniment."""
