"""The key that whoever asks a service sends, where the service asks for one."""

import os
from collections.abc import Mapping

KEY_VARIABLE = "FLYWEIGHT_KEY"
"""Holds it: a command line would show it to everyone on the machine, a file would keep it."""


def key_headers(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The header to send; none where no key is set."""
    key = environ.get(KEY_VARIABLE)
    return {"Authorization": f"Bearer {key}"} if key else {}
