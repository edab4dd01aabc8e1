"""Which code made an artifact: a fingerprint of the sources that can change what is learned or sealed."""

import hashlib
from functools import cache
from pathlib import Path

EVERYTHING = ("contracts", "models", "export")
LEARNING = ("contracts", "models")


@cache
def code_revision(rooms: tuple[str, ...] = EVERYTHING) -> str:
    """Twelve hex digits over every Python source of `rooms`. The same with or without git."""
    digest = hashlib.sha256()
    root = Path(__file__).parent.parent
    for room in rooms:
        for source in sorted((root / room).rglob("*.py")):
            digest.update(str(source.relative_to(root)).encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
