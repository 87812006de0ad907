"""AltEraser: unlearning for recommenders as warm-started optimisation over many small sub-problems."""
