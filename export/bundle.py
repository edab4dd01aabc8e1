"""`bundle/`: the promoted artifact, laid out like `artifacts/`, for `bentoml build` to pack.

It is refreshed as a whole by `promote` and `rollback`, in one step, so that a build never packs a mixture.
"""

import os
import shutil
from pathlib import Path

from contracts import durable
from contracts.artifact import MANIFEST, Artifact
from contracts.pointer import move_pointer


def refresh_bundle(bundle: Path, artifact: Artifact) -> None:
    """Make `bundle` hold exactly `artifact` (what is sealed, no figures) and a pointer to it."""
    with durable.new_directory(bundle) as folder:
        place = folder / artifact.path.name
        place.mkdir()
        for name in (MANIFEST, *artifact.manifest.files):
            _link_or_copy(artifact.path / name, place / name)
        move_pointer(folder, place)


def _link_or_copy(source: Path, target: Path) -> None:
    """A sealed file never changes, so two names for it are as good as a copy, and free."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
