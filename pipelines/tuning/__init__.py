"""Fine-tuning and aligning a model of one's own, or an imported release, on songs given as codes."""
