"""The parts of a log, and what is asked of them."""
