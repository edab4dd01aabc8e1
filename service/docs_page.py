"""/docs: the API's description in a browser, with nothing fetched from elsewhere.

Swagger UI is the one that BentoML's package brings: the image grows by nothing. Its folder is not public;
tests/service/test_docs_page.py fails when another version of BentoML has it elsewhere. The page and its files are
the same for everybody and say nothing of the service, so they take no key; the description itself does.
"""

import hashlib
import importlib.util
from functools import cache
from pathlib import Path

from service.errors import NotFound
from service.exchange import Exchange, Reply

_OURS = Path(__file__).parent / "swagger"
_CSS, _JS, _HTML = b"text/css; charset=utf-8", b"text/javascript; charset=utf-8", b"text/html; charset=utf-8"

FILES = {"page.css": _CSS, "page.js": _JS, "swagger-ui.css": _CSS, "swagger-ui-bundle.js": _JS}
"""What /docs/{file} may be, and its media type."""

_SAFE = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
)
_KEPT = (b"cache-control", b"public, max-age=31536000, immutable")
_NOT_KEPT = (b"cache-control", b"no-cache")


async def page(exchange: Exchange) -> Reply:
    content = (_OURS / "page.html").read_text().replace("VERSION", version())
    return Reply(content.encode(), _HTML, (_POLICY, _NOT_KEPT, *_SAFE))


async def file(exchange: Exchange) -> Reply:
    """A browser keeps it for good when it asked for this very version."""
    name = exchange.scope["path_params"]["file"]
    if name not in FILES:
        raise NotFound(f"there is no such file; there is {', '.join(FILES)}")
    is_this_version = exchange.scope["query_string"] == f"v={version()}".encode()
    return Reply(place_of(name).read_bytes(), FILES[name], (_KEPT if is_this_version else _NOT_KEPT, *_SAFE))


@cache
def version() -> str:
    """Of all files together, by what is in them."""
    return hashlib.sha256(b"".join(place_of(name).read_bytes() for name in FILES)).hexdigest()[:12]


def place_of(name: str) -> Path:
    if name.startswith("page."):
        return _OURS / name
    (package,) = importlib.util.find_spec("bentoml").submodule_search_locations
    return Path(package) / "_internal" / "server" / "static_content" / name
