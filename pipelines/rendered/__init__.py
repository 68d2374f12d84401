"""The embedded world's songs: score, voice, band and noise."""
