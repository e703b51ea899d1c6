"""From a compiled model to trained weights: optimizers, schedules, losses, layer groups and callbacks."""
