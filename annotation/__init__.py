"""What can be heard in a recording: stems, structure, lyrics with times, phonemes, tags."""
