"""From features to predictions: each head continues the backbone's own graph."""
