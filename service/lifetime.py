"""Processes that end with the one that started them, however that one ended."""

import ctypes
import os
import signal

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1  # in <sys/prctl.h>


def child_of(parent: int) -> None:
    """Have the system end this child of the process `parent` (SIGTERM) when that one dies (Linux).

    Called by the child, or as its `preexec_fn`. Ends at once when the parent is gone already.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
