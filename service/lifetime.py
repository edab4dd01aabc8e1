"""What a service needs around it: children that end with it, however it ended, and a folder of its own."""

import ctypes
import os
import signal
import stat
from pathlib import Path

from contracts.faults import UsageFault

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1  # in <sys/prctl.h>


def child_of(parent: int) -> None:
    """Have the system end this child of the process `parent` (SIGTERM) when that one dies (Linux).

    Called by the child, or as its `preexec_fn`. Ends at once when the parent is gone already.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def private_folder(path: Path) -> None:
    """Make the folder if it is missing, and shut everyone else out of it where it is ours.

    A folder that others share by design (sticky, as /tmp is) stays as it is. Raises `UsageFault`.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except PermissionError as error:
        raise UsageFault(
            f"the folder {path} cannot be made by user {os.geteuid()}, as which this runs ({error}). Let it write "
            "there (in a container: `chown 1034` the mounted folder, or mount a volume), or name another folder."
        ) from error
    found = path.stat()
    if found.st_uid == os.geteuid() and not found.st_mode & stat.S_ISVTX:
        path.chmod(0o700)
