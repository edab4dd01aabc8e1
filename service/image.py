"""What bentofile.yaml cannot say of the image that `bentoml containerize` builds.

Its base is BASE_IMAGE where that is set, and gets no compiler and no git, which BentoML adds to its own. The tool
that installs the packages is pinned as they are. `make image` then takes what serves out of that image into one
without the tool: deploy/image/Containerfile.
"""

import os

from bentoml.images import Image

_BASE = "python:3.11-slim"
_INSTALLER = "uv==0.13.9"


def image() -> Image:
    base = Image(base_image=os.environ.get("BASE_IMAGE") or _BASE, distro="none", lock_python_packages=False)
    return base.run(f"command -v uv >/dev/null || pip install {_INSTALLER}")
