"""Sound to tokens at 25 Hz and back."""
