"""docs/configuration.md is what the code says, and says something of every setting."""

import re

import pytest

from contracts.settings import SHORT_VARIABLES, setting_keys, variable_of
from flyweight.configuration_page import OTHER_VARIABLES, PAGE, kind_of, page, words_of

ROWS = {
    (section, cells[0].strip("`")): cells
    for section, table in re.findall(r"^## `\[([a-z-]+)\]`\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.M | re.S)
    for row in re.findall(r"^\| (`.*) \|$", table, re.M)
    if (cells := re.split(r" (?<!\\)\| ", row))
}


def test_the_page_is_what_make_docs_would_write():
    assert PAGE.read_text() == page(), "docs/configuration.md is stale: run `make docs`"


@pytest.mark.parametrize("key", setting_keys(), ids=".".join)
def test_every_setting_stands_there_with_type_default_variable_and_meaning(key):
    name, kind, default, variable, meaning = ROWS[key]
    assert (name, variable) == (f"`{key[1]}`", f"`{variable_of(key)}`")
    assert kind and default and len(meaning) > 2


def test_nothing_else_stands_there():
    assert ROWS.keys() == setting_keys().keys()


def test_every_variable_with_a_name_of_its_own_stands_there():
    for name in (*SHORT_VARIABLES, *OTHER_VARIABLES):
        assert f"| `{name}` |" in PAGE.read_text()


def test_a_comment_may_go_on_over_several_lines():
    toml = '[a]  # of it\nb = ["x"]  # begins\n         # and ends\nc = 1\n'
    assert words_of(toml) == ({"a": "of it"}, {("a", "b"): "begins and ends", ("a", "c"): ""})


def test_types_are_told_with_their_bounds():
    kinds = {key: kind_of(field.type) for key, field in setting_keys().items()}
    assert kinds["service", "port"] == "whole number, 1 to 65535"
    assert kinds["split", "protocol"] == "one of `time-split`, `leave-one-out`"
    assert kinds["split", "holdout-percent"] == "number, above 0 and below 50"
    assert kinds["measuring", "batch-sizes"] == "list of whole numbers, at least 1, at least one"
    assert kinds["service", "shortcut"] == "`true` or `false`"
    assert kinds["paths", "runs"] == "path"
