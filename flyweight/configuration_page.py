"""docs/configuration.md, written from the code: `python -m flyweight.configuration_page` (`make docs`) writes it.

Keys, types, bounds, defaults and variables are those of `contracts.sections`; the words are the comments of
flyweight.toml. A test fails when the page is not what comes out here.
"""

import re
from pathlib import Path
from typing import Literal, get_args, get_origin

import msgspec
from msgspec import inspect

from contracts.client_key import KEY_VARIABLE
from contracts.sections import Settings
from contracts.settings import CONFIG_FILE, CONFIG_VARIABLE, SHORT_VARIABLES, Key, setting_keys, variable_of

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "configuration.md"

OTHER_VARIABLES = {
    CONFIG_VARIABLE: "the file, instead of `flyweight.toml` in the working directory",
    KEY_VARIABLE: "the key that `flyweight ask`, `flyweight loadtest` and the client send to a service that asks "
    "for one",
    "BENTOML_HOME": "where BentoML keeps what it builds, and the metrics of a running service: one folder for "
    "each service; `flyweight serve` takes one in the state folder",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "where traces go; without it there are none. It and the other `OTEL_` "
    "variables: [observing](observing.md)",
}
"""What else is read from the environment."""

HEAD = """# Configuration

Every setting there is: {count} of them. **Nobody has to set any.** This page is written from the code by
`make docs`; a test holds the two together.

A setting comes from a flag of the command line, else from the environment, else from
[flyweight.toml](../flyweight.toml) in the working directory, else it is the default. Its variable is always
`FLYWEIGHT_SECTION_KEY`, with `_` for `-`. A variable holds what the file would: `8`, `0.5`, `true`, `["a", "b"]`;
text goes without quotes. An empty variable counts as unset. Paths are relative to the folder of the file.

What cannot be is refused with exit code 2: an unknown key or variable, another type, a value out of bounds. The
message names key, value, where it came from and what is allowed.

## Variables that have a name of their own
| variable | setting |
|---|---|
{short}

The short name beats the long one. No settings, but read as well:

| variable | what it says |
|---|---|
{others}
"""


def page() -> str:
    """The whole page, as it should stand in docs/."""
    sections, keys = words_of((ROOT / CONFIG_FILE).read_text())
    short = "\n".join(f"| `{name}` | `[{section}] {key}` |" for name, (section, key) in SHORT_VARIABLES.items())
    others = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in OTHER_VARIABLES.items())
    text = HEAD.format(count=len(setting_keys()), short=short, others=others)
    for section in msgspec.structs.fields(Settings):
        name = section.encode_name
        about = f"{sections[name][:1].upper()}{sections[name][1:]}.\n\n" if sections.get(name) else ""
        rows = [_row((name, field.encode_name), field, keys) for field in msgspec.structs.fields(section.type)]
        table = "\n".join(["| key | type | default | variable | meaning |", "|---|---|---|---|---|", *rows])
        text += f"\n## `[{name}]`\n{about}{table}\n"
    return text


def words_of(toml: str) -> tuple[dict[str, str], dict[Key, str]]:
    """What the comments of the file say of each section and of each key; of a key over several lines."""
    sections: dict[str, str] = {}
    keys: dict[Key, str] = {}
    section, key = "", ""
    for line in toml.splitlines():
        if match := re.match(r"\[([a-z-]+)\](?:\s+# (.*))?", line):
            section, key = match[1], ""
            sections[section] = match[2] or ""
        elif match := re.match(r"([a-z0-9-]+) = .*?(?:\s{2,}# (.*))?$", line):
            key = match[1]
            keys[section, key] = match[2] or ""
        elif key and (match := re.match(r"\s+# (.*)", line)):
            keys[section, key] += f" {match[1]}"
    return sections, keys


def _row(key: Key, field: msgspec.structs.FieldInfo, words: dict[Key, str]) -> str:
    cells = [f"`{key[1]}`", kind_of(field.type), f"`{_shown(field.default)}`", f"`{variable_of(key)}`", words[key]]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _shown(default: object) -> str:
    """As the file writes it."""
    return msgspec.json.encode(default, enc_hook=str).decode().replace(",", ", ")


def kind_of(annotation: object) -> str:
    """A type with its bounds, in words."""
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(f"`{value}`" for value in get_args(annotation))
    kind = inspect.type_info(annotation)
    if not isinstance(kind, inspect.VarTupleType):
        return _words(kind)
    return f"list of {_words(kind.item_type, many=True)}{', at least one' if kind.min_length else ''}"


def _words(kind: inspect.Type, *, many: bool = False) -> str:
    plural = "s" if many else ""
    match kind:
        case inspect.BoolType():
            return "`true` or `false`"
        case inspect.IntType():
            return f"whole number{plural}{_bounds(kind)}"
        case inspect.FloatType():
            return f"number{plural}{_bounds(kind)}"
        case inspect.StrType():
            return "`sha256:` and 64 hex digits" if kind.pattern else f"text{plural}"
        case inspect.CustomType():
            return "path"
    raise TypeError(f"no words for {kind}")


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    if kind.ge is not None and kind.le is not None:
        return f", {kind.ge:g} to {kind.le:g}"
    bounds = ((kind.ge, "at least"), (kind.gt, "above"), (kind.lt, "below"), (kind.le, "at most"))
    told = [f"{word} {bound:g}" for bound, word in bounds if bound is not None]
    return f", {' and '.join(told)}" if told else ""


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote  {PAGE}")
