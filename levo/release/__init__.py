"""Released checkpoints: their folders read into models of ours, and written back."""
