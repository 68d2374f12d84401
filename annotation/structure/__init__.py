"""Finding a song's sections: where they begin and what they are."""
