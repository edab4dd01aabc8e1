"""Fetching a public data set from its home into a log folder, with its checksum checked and its licence."""

import hashlib
import http.client
import re
import tempfile
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import polars as pl

from contracts.faults import Fault, LogFault, UsageFault
from contracts.progress import Progress, silent
from models.logs.log_files import new_log_folder, sha256_of
from models.logs.public_logs import PUBLIC_LOGS, PublicLog

BLOCK_BYTES = 1 << 18
TIMEOUT_SECONDS = 30
CHECKSUMS = "sha256.txt"
WRITTEN = ("interactions.csv", "items.csv", "LICENSE.txt", "README.txt", CHECKSUMS)


@dataclass(frozen=True)
class Downloaded:
    """`licence` must be shown to whoever asked; `checked` says against what each file was checked."""

    folder: Path
    licence: str
    checked: list[str]


def download(name: str, folder: Path, *, source: str | None = None, progress: Progress = silent) -> Downloaded:
    """Fetch the public log `name` into `folder` as interactions.csv and items.csv, whole or not at all.

    `source` replaces the address of its home. A file without a published checksum is trusted the first time:
    its sha256 is written to sha256.txt, and another one is refused later. Raises `UsageFault` for an unknown
    name, `Fault` when the source cannot be reached or gives something else than expected.
    """
    if name not in PUBLIC_LOGS:
        raise UsageFault(f"{name!r} is no data set that flyweight knows; expected {' or '.join(PUBLIC_LOGS)}.")
    log = PUBLIC_LOGS[name]
    home = (source or log.home).rstrip("/") + "/"
    trusted = _read_trusted(folder / CHECKSUMS)
    with tempfile.TemporaryDirectory() as scratch, new_log_folder(folder, WRITTEN) as draft:
        fetched = Path(scratch)
        for file in log.files:
            _fetch(urljoin(home, file), fetched / file, progress)
        checked = [_check(log, home, fetched / file, trusted.get(file)) for file in log.files]
        _convert(log, fetched, draft)
        (draft / "LICENSE.txt").write_text(log.licence, encoding="utf-8")
        sums = [f"{sha256_of(fetched / file)}  {file}\n" for file in log.files]
        (draft / CHECKSUMS).write_text("".join(sums), encoding="utf-8")
    return Downloaded(folder, log.licence, checked)


def _read_trusted(path: Path) -> dict[str, str]:
    """File name -> sha256 of an earlier download."""
    if not path.is_file():
        return {}
    lines = [line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines()]
    return {file: digest for digest, file in lines}


def _check(log: PublicLog, home: str, path: Path, trusted: str | None) -> str:
    """Say against what the file was checked. Raises `Fault` when it is not what it should be."""
    found = sha256_of(path)
    if log.md5_beside:
        published = _published_md5(urljoin(home, path.name + ".md5"))
        with path.open("rb") as handle:
            md5 = hashlib.file_digest(handle, "md5").hexdigest()
        if md5 != published:
            raise Fault(
                f"{path.name} has md5 {md5}, {home}{path.name}.md5 says {published}. Nothing was kept; download "
                "it again, and if it stays so, do not use it."
            )
        return f"{path.name}: md5 {md5}, as published beside it"
    if trusted and trusted != found:
        raise Fault(
            f"{path.name} has sha256 {found}, the earlier download had {trusted}. The source has changed, or "
            f"somebody changed it on the way. To accept it, remove {CHECKSUMS} and download again."
        )
    if trusted:
        return f"{path.name}: sha256 {found}, the same as in the earlier download"
    return f"{path.name}: sha256 {found}, trusted because its home publishes none; recorded in {CHECKSUMS}"


def _published_md5(url: str) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "md5"
        _fetch(url, path, silent)
        text = path.read_bytes().decode("utf-8", errors="replace")
    match = re.search(r"\b[0-9a-fA-F]{32}\b", text)
    if not match:
        raise Fault(f"{url} holds no md5: found {text[:80]!r}. Nothing was kept; try again later.")
    return match[0].lower()


def _fetch(url: str, path: Path, progress: Progress) -> None:
    task = f"downloading {url.rsplit('/', 1)[-1]}"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response, path.open("wb") as handle:
            expected = int(response.headers.get("Content-Length") or 0)
            received = 0
            while block := response.read(BLOCK_BYTES):
                handle.write(block)
                received += len(block)
                progress(task, received, max(expected, received))
    except urllib.error.HTTPError as error:
        raise Fault(
            f"{url} answered {error.code} {error.reason}. The data set has moved; look for it at its home and "
            "name the new address as source."
        ) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise Fault(
            f"{url} cannot be fetched: {reason}. Check the connection to the internet, or use `flyweight sample`."
        ) from error
    if received < expected:
        raise Fault(f"{url} broke off after {received:,} of {expected:,} bytes. Nothing was kept; try again.")


def _convert(log: PublicLog, fetched: Path, draft: Path) -> None:
    try:
        log.convert(fetched, draft)
    except LogFault:
        raise
    except (KeyError, ValueError, OSError, zipfile.BadZipFile, pl.exceptions.PolarsError) as error:
        raise Fault(
            f"the files fetched are not laid out as expected: {error}. Nothing was kept; the source has changed."
        ) from error
