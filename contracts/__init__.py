"""What training writes and serving reads: the one place both sides agree.

Imports numpy, msgspec and the standard library, nothing else of ours or theirs.
"""
