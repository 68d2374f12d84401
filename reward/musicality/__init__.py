"""How musical a song is, learned from ranked versions of songs."""
