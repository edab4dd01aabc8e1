"""Quality, size, memory and speed of artifacts."""
