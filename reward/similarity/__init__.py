"""How well a song fits its description, and how alike two songs sound."""
