"""What a song is, as records: lyrics, description, waveform, tokens, scores and preference pairs."""
