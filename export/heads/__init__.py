"""Ways to find the best of many items without scoring all of them. See docs/large-catalogs.md."""
