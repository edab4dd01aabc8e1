"""`bundle/`: the promoted artifact, laid out like `artifacts/`, for `bentoml build` to pack.

It is refreshed as a whole by `promote` and `rollback`, in one step, so that a build never packs a mixture.
"""

import os
import shutil
from pathlib import Path

from contracts import durable
from contracts.artifact import MANIFEST, Artifact
from contracts.faults import UsageFault
from contracts.pointer import POINTER, move_pointer


def refresh_bundle(bundle: Path, artifact: Artifact) -> None:
    """Make `bundle` hold exactly `artifact` (what is sealed, no figures) and a pointer to it.

    Raises `UsageFault` rather than replace a folder that holds anything else.
    """
    _refuse_foreign(bundle)
    with durable.new_directory(bundle) as folder:
        place = folder / artifact.path.name
        place.mkdir()
        for name in (MANIFEST, *artifact.manifest.files):
            _link_or_copy(artifact.path / name, place / name)
        move_pointer(folder, place)


def _refuse_foreign(bundle: Path) -> None:
    """A bundle holds a pointer and one artifact; a folder with anything else is somebody's own."""
    entries = sorted(bundle.iterdir()) if bundle.exists() else []
    foreign = [entry for entry in entries if entry.name != POINTER and not (entry / MANIFEST).is_file()]
    if foreign or len(entries) > 2:
        raise UsageFault(
            f"{bundle} holds {(foreign or entries)[0].name!r}: it is no bundle and would be replaced. "
            "Set [paths] bundle to a folder of its own."
        )


def _link_or_copy(source: Path, target: Path) -> None:
    """A sealed file never changes, so two names for it are as good as a copy, and free."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
