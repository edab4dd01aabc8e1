"""What the docs promise exists, and what exists stands in the docs."""

import re
from pathlib import Path

import pytest

from contracts.reasons import Reason, Source
from flyweight.cli import VERBS
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


def test_the_tree_in_the_readme_names_every_source_file():
    """A file that is added must be put in its place in the tree, in one line."""
    tree = README[README.index("## The house") :]
    for room in ("contracts", "models", "export", "service", "loadtests", "flyweight"):
        for source in (ROOT / room).rglob("*.py"):
            if source.name not in ("__init__.py", "__main__.py"):
                indent = "  " * (len(source.relative_to(ROOT).parts) - 1)
                assert re.search(rf"^{indent}{re.escape(source.name)} +\S", tree, re.MULTILINE), source
