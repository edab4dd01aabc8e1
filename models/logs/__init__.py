"""Interaction logs: read, checked, sampled, fetched."""
