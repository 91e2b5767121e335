"""Training, above the line: float twins, integer layers, entropy models, the loop. Needs torch."""
