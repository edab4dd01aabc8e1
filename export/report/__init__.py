"""What was measured and decided, as one HTML page."""
