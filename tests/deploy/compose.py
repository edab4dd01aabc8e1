"""deploy/compose.yaml as an engine would read it: names from the environment filled in by their defaults."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "deploy" / "compose.yaml"


def read_compose(**variables: str) -> dict:
    """`variables` stand for the environment; an empty one counts as unset, as `:-` says."""

    def fill(found: re.Match) -> str:
        return variables.get(found["name"]) or found["default"]

    text = re.sub(r"\$\{(?P<name>\w+):-(?P<default>[^}]*)\}", fill, FILE.read_text())
    assert "${" not in text, "a variable without a default"
    return yaml.safe_load(text)


SERVICES = read_compose()["services"]


def mounts(service: dict) -> list[tuple[str, str]]:
    """Source and target of what is mounted; the source is the name of a volume, or a path relative to the file."""
    found = []
    for mount in service.get("volumes", []):
        source, target = (mount["source"], mount["target"]) if isinstance(mount, dict) else mount.split(":")[:2]
        found.append((source, target))
    return found


def seconds(duration: str) -> int:
    assert duration.endswith("s")
    return int(duration[:-1])
