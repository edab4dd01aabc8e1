"""Who ships, and why."""
