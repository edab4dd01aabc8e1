"""What the docs promise exists, and what exists stands in the docs."""

import re
import runpy
from pathlib import Path

import pytest

from contracts.reasons import Reason, Source
from flyweight.cli import VERBS, main
from service import metrics
from service.errors import ERRORS
from service.routes import ROUTES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
HTTP = (ROOT / "docs" / "http.md").read_text()
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_is_documented(route):
    assert f"{ROUTES[route]} {route}`" in HTTP


@pytest.mark.parametrize("word", [*Source, *Reason])
def test_every_source_and_reason_is_documented_with_what_it_means(word):
    row = next(line for line in HTTP.splitlines() if line.startswith(f"| `{word}` |"))
    if isinstance(word, Reason):
        assert row.endswith("| yes |" if word.degraded else "| no |")


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_is_documented(error):
    assert f"| {error.status} | `{error.code}` |" in HTTP


def test_every_metric_is_documented_with_its_labels_and_no_other():
    documented = dict(re.findall(r"^\| `(flyweight_\w+)` \| ([^|]*)\|", HTTP, re.MULTILINE))
    declared = metrics.declared_metrics()
    assert {name: re.findall(r"`(\w+)`", labels) for name, labels in documented.items()} == declared


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_stands_in_the_readme(verb):
    assert re.search(rf"(flyweight |`){verb}\b", README)


def test_every_make_target_in_the_readme_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))
    assert named
    assert named <= targets


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_between_the_docs_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page} links to {target}, which is not there"


def test_the_page_of_the_house_names_every_source_file():
    """A file that is added must be put in its place in the tree, in one line."""
    tree = (ROOT / "docs" / "house.md").read_text()
    for room in ("contracts", "models", "export", "service", "loadtests", "flyweight"):
        for source in (ROOT / room).rglob("*.py"):
            if source.name not in ("__init__.py", "__main__.py"):
                indent = "  " * (len(source.relative_to(ROOT).parts) - 1)
                assert re.search(rf"^{indent}{re.escape(source.name)} +\S", tree, re.MULTILINE), source


def test_every_page_stands_in_the_index():
    folder = ROOT / "docs"
    linked = set(re.findall(r"\]\(([^)#]+)\)", (folder / "README.md").read_text()))
    pages = {page.name for page in folder.glob("*.md")} - {"README.md"}
    assert pages <= linked, f"docs/README.md leaves out {sorted(pages - linked)}"
    decisions = {page.name for page in (folder / "decisions").glob("0*.md")}
    assert decisions <= set(re.findall(r"\]\(([^)#]+)\)", (folder / "decisions" / "README.md").read_text()))


def calls_of_verbs() -> list[tuple[Path, str]]:
    """Every line of the docs on which somebody is told to type `flyweight`, to its end or to its comment."""
    calls = []
    for page in DOCS:
        for block in re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            lines = block.replace("\\\n", " ").splitlines()
            found = [re.match(r"(?:\$ )?(?:[A-Z_]+=\S+ )*flyweight (?=[a-z])(.*)", line) for line in lines]
            calls += [(page, re.split(r" {2,}(?!-)| #| &", match[1])[0]) for match in found if match]
    return calls


@pytest.mark.parametrize(("page", "call"), calls_of_verbs(), ids=lambda part: getattr(part, "name", part))
def test_every_command_in_the_docs_has_a_verb_and_options_that_exist(page, call):
    verb, *words = call.split()
    assert verb in VERBS, f"{page} says `flyweight {call}`"
    known = {option for parameter in main.get_command(None, verb).params for option in parameter.opts}
    assert {word.split("=")[0] for word in words if word.startswith("--")} <= known | {"--help"}


def test_the_pictures_are_what_their_script_draws_and_show_the_rooms_that_are_there():
    drawing = runpy.run_path(str(ROOT / "docs" / "pictures" / "draw_architecture.py"))
    for name, draw in (("architecture", "journey"), ("rooms", "rooms")):
        picture = (ROOT / "docs" / "pictures" / f"{name}.svg").read_text()
        assert picture == drawing[draw](), f"docs/pictures/{name}.svg is stale: run `make docs`"
    rooms = {place.parent.name for place in ROOT.glob("*/__init__.py")} - {"tests"}
    assert drawing["ROOMS"].keys() == rooms
    steps = re.findall(r'font-weight="bold">(split|train|export|measure|promote|adopt)<', drawing["journey"]())
    assert set(steps) == {"split", "train", "export", "measure", "promote", "adopt"} <= VERBS.keys()
