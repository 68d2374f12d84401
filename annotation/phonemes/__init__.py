"""Words to phonemes in several languages, so that what is heard and what was written can be compared by sound."""
