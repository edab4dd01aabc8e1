"""Smaller forms of a graph, and whether they still answer the same."""
