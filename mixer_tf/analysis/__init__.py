"""Looking inside: what a trained network does well, what it gets wrong, and where it looks."""
