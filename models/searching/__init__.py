"""Finding settings, within a budget."""
