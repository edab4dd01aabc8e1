"""Finds what only a pickle could read: by name, by content, and inside zip files and arrays."""

import io
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

NAMES = (".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".ckpt")


def pickles_in(folder: Path) -> list[str]:
    return [found for path in sorted(folder.rglob("*")) if path.is_file() for found in _found_in(path)]


def _found_in(path: Path) -> Iterator[str]:
    if path.suffix in NAMES:
        yield f"{path}: by its name"
    content = path.read_bytes()
    if is_pickle(content):
        yield f"{path}: by its content"
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(NAMES) or is_pickle(archive.read(name)):
                    yield f"{path}: its member {name}"
    if content.startswith(b"\x93NUMPY") and _holds_objects(content):
        yield f"{path}: an array of objects"


def is_pickle(content: bytes) -> bool:
    """Of any protocol: instructions from the first byte to a STOP at the last."""
    try:
        *before, (last, _, position) = pickletools.genops(content)
    except Exception:  # whatever stands there, it is none
        return False
    return bool(before) and last.name == "STOP" and position == len(content) - 1


def _holds_objects(content: bytes) -> bool:
    try:
        np.load(io.BytesIO(content), allow_pickle=False)
    except ValueError:
        return True
    return False
