"""The one reader of flyweight.toml: a flag beats an environment variable beats the file beats the default.

What comes out is frozen and checked. An unknown key, a wrong type or an impossible value is refused with
the key, the value and what is allowed.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import msgspec

from contracts.client_key import KEY_VARIABLE
from contracts.faults import SettingsFault
from contracts.sections import Paths, Settings

CONFIG_FILE = "flyweight.toml"
ARTIFACT_VARIABLE = "ARTIFACT_DIR"
SHORT_VARIABLES = {
    "PORT": ("service", "port"),
    "FLYWEIGHT_HOST": ("service", "host"),
    "REDIS_URL": ("features", "redis-url"),
    "FLYWEIGHT_STATE": ("paths", "state"),
    ARTIFACT_VARIABLE: ("paths", "artifacts"),
}
CONFIG_VARIABLE = "FLYWEIGHT_CONFIG"
"""Names the file. With `KEY_VARIABLE`, all variables of ours that are no settings."""

_INJECTED = re.compile(r"FLYWEIGHT_SERVICE_HOST|FLYWEIGHT(_SERVICE)?_PORT(_.*)?")
"""What Kubernetes puts into every pod beside a Service named flyweight, FLYWEIGHT_PORT=tcp://... among it."""

Key = tuple[str, str]
"""Section and key as the file writes them: `("service", "max-batch")`."""

_SECRET: tuple[Key, ...] = (("service", "api-keys"), ("service", "admin-keys"), ("features", "redis-url"))
"""What may be, or hold, something that no log shall show."""


def read_settings(
    file: Path | None = None,
    flags: Mapping[Key, object] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Read, merge and check the settings; paths come out absolute, relative to the file's directory.

    `file` defaults to FLYWEIGHT_CONFIG, then to ./flyweight.toml, which may be absent; a file that was
    named must exist. Raises `SettingsFault`.
    """
    named = file or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    path = named or Path(CONFIG_FILE)
    document = _read_toml(path, must_exist=named is not None)
    origins: dict[Key, str] = {}
    for variable, key, raw in _from_environment(environ):
        _put(document, key, _parse(key, raw))
        origins[key] = f"environment variable {variable}"
    for key, value in (flags or {}).items():
        _put(document, key, value)
        origins[key] = f"flag --{key[1]}"
    settings = _convert(document, path, origins)
    root = path.resolve().parent
    paths = {name: root / value for name, value in msgspec.structs.asdict(settings.paths).items()}
    return msgspec.structs.replace(settings, paths=Paths(**paths))


def setting_keys() -> dict[Key, msgspec.structs.FieldInfo]:
    """Every setting there is, in the file's words."""
    return {
        (section.encode_name, field.encode_name): field
        for section in msgspec.structs.fields(Settings)
        for field in msgspec.structs.fields(section.type)
    }


def variable_of(key: Key) -> str:
    """The environment variable of a setting: FLYWEIGHT_SECTION_KEY."""
    return "_".join(["FLYWEIGHT", *key]).upper().replace("-", "_")


def _read_toml(path: Path, *, must_exist: bool) -> dict:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if must_exist:
            raise SettingsFault(f"{path} does not exist; expected a configuration file there.") from None
        return {}
    except (OSError, ValueError) as error:
        raise SettingsFault(f"{path} cannot be read as TOML: {error}") from error


def _from_environment(environ: Mapping[str, str]) -> list[tuple[str, Key, str]]:
    """Settings in the environment, a short name over the long one. An empty value counts as unset."""
    long_names = {variable_of(key): key for key in setting_keys()}
    known = {**long_names, **SHORT_VARIABLES}
    if environ.get("FLYWEIGHT_PORT", "").startswith("tcp://"):  # nobody's setting: see _INJECTED
        environ = {name: value for name, value in environ.items() if not _INJECTED.fullmatch(name)}
    for variable in environ:
        if variable.startswith("FLYWEIGHT_") and variable not in {*known, CONFIG_VARIABLE, KEY_VARIABLE}:
            raise SettingsFault(
                f"environment variable {variable} is no setting of flyweight; expected FLYWEIGHT_SECTION_KEY "
                f"as in {variable_of(('service', 'max-batch'))}, or one of {', '.join(SHORT_VARIABLES)}."
            )
    return [(name, key, environ[name]) for name, key in known.items() if environ.get(name)]


def _parse(key: Key, raw: str) -> object:
    """A text from the environment as the file would hold it: `8`, `0.5`, `[1, 2]`, or the text itself."""
    if isinstance(setting_keys()[key].default, str | Path):
        return raw
    try:
        return tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return raw


def _put(document: dict, key: Key, value: object) -> None:
    section = document.setdefault(key[0], {})
    if isinstance(section, dict):
        section[key[1]] = str(value) if isinstance(value, Path) else value


def _convert(document: dict, path: Path, origins: Mapping[Key, str]) -> Settings:
    try:
        return msgspec.convert(document, Settings, dec_hook=lambda kind, text: kind(text))
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$")
        names = place.rstrip("`").split("[")[0].strip(".").split(".") if place else []
        key, _, rest = problem.partition(": ")
        if (*names, key) in setting_keys():  # a section's own check starts with the key it is about
            names, problem = [*names, key], rest
        value: object = document
        for name in names:
            value = value.get(name) if isinstance(value, dict) else value
        origin = origins.get(tuple(names)) or str(path)
        where = f"[{names[0]}] {' '.join(names[1:])}".strip() if names else "top level"
        found = "" if isinstance(value, dict) or tuple(names) in _SECRET else f" = {value!r}"
        raise SettingsFault(f"{origin}: {where}{found}: {problem}.{_allowed(names, problem)}") from error


def _allowed(names: list[str], problem: str) -> str:
    if "sha256:" in problem:
        return " Make a key and its hash with `flyweight hash-key`."
    if "enum value" in problem:
        return f" Allowed: {', '.join(get_args(setting_keys()[tuple(names)].type))}."
    if "unknown field" not in problem:
        return ""
    keys = [key for section, key in setting_keys() if not names or section == names[0]]
    sections = list(dict.fromkeys(section for section, _ in setting_keys()))
    return f" Allowed: {', '.join(keys if names else sections)}."
