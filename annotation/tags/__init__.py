"""Style tags that can be heard in a song: voice register, tempo, instrument, mood and drums."""
