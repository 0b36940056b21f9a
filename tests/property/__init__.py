"""Round trips, bounds, and that a decoder raises nothing else."""
