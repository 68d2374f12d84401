"""What is sung in a recording: phonemes and words with their times."""
