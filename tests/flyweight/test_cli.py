"""The command line as a person meets it, in processes of its own."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.sections import CONVERSIONS, HEADS
from flyweight.cli import VERBS
from flyweight.verb import explain_missing


def flyweight(*arguments: object, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "flyweight", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def test_help_lists_every_verb_in_journey_order(tmp_path):
    shown = flyweight("--help", cwd=tmp_path).stdout
    places = [shown.index(f"\n  {verb} ") for verb in VERBS]
    assert places == sorted(places)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_and_takes_config_and_json(verb, tmp_path):
    shown = flyweight(verb, "--help", cwd=tmp_path)
    assert shown.returncode == 0
    assert "--config FILE" in shown.stdout
    assert "--json FILE" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train"], "say either --rung NAME or --all"),
        (["train", "--rung", "gbdt", "--interactions", "."], "there is no rung 'gbdt'"),
        (["train", "--all"], "say either --interactions FILE or --split DIR"),
        (["validate", "--interactions", "absent.csv"], "absent.csv"),
        (["promote", "--force"], "--force needs the ARTIFACT"),
        (["promote"], "holds no artifact of a trained run"),
        (["rollback"], "nothing to roll back to"),
        (["measure"], "holds no artifact of a trained run"),
        (["serve"], "flyweight train"),
        (["evaluate", "sasrec:int9", "--interactions", "."], "no artifact sasrec:int9"),
        (["export", "--untrained", "--rung", "mean"], "--untrained needs --items N"),
        (["export", "--rung", "sasrec"], "flyweight train"),
        (["export", "--rung", "sasrec", "--variant", "jpq-ivf"], "there is no variant 'jpq-ivf' to convert to"),
        (["serve", "--config", "absent.toml"], "absent.toml does not exist"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_to_do(arguments, told, tmp_path):
    ended = flyweight(*arguments, cwd=tmp_path)
    assert ended.returncode == 2
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_export_names_every_variant_that_it_can_be_asked_for(tmp_path):
    shown = "".join(flyweight("export", "--help", cwd=tmp_path).stdout.split())  # lines break at hyphens, too
    assert f"Onevariant:{','.join((*CONVERSIONS, *HEADS))}." in shown


def test_a_verb_that_an_image_does_not_have_says_where_it_is():
    said = explain_missing(ModuleNotFoundError(name="export"))
    assert said.startswith("this verb needs export/, which is not in this image") and "docs/kubernetes.md" in said


def test_a_bad_setting_is_refused_by_every_verb(tmp_path):
    (tmp_path / "flyweight.toml").write_text("[training]\nseed = -1\n")
    ended = flyweight("sample", cwd=tmp_path)
    assert ended.returncode == 2
    assert "[training] seed = -1" in ended.stderr
    assert not (tmp_path / "sample").exists()


def test_a_service_that_does_not_answer_gives_no_figure_and_exits_3(tmp_path):
    (tmp_path / "flyweight.toml").write_text("[service]\nport = 1\n")
    for verb in ("loadtest", "ask"):
        ended = flyweight(verb, cwd=tmp_path)
        assert ended.returncode == 3
        assert "flyweight serve" in ended.stderr


def test_sample_says_what_it_wrote_and_writes_json(tmp_path):
    small = ["--users", 50, "--items", 30, "--interactions", 500]
    ended = flyweight("sample", *small, "--json", "out.json", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "wrote  sample  500 interactions, 50 users, 30 items" in ended.stdout
    assert json.loads((tmp_path / "out.json").read_text())["interactions"] == 500


def test_a_log_that_cannot_be_trained_on_fails_validation_with_exit_code_1(tmp_path):
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu1,i1,1700000000\nu1,i2,1700000001\n")
    ended = flyweight("validate", "--interactions", "log.csv", "--json", "report.json", cwd=tmp_path)
    assert ended.returncode == 1
    assert json.loads((tmp_path / "report.json").read_text())["problems"]


def test_a_key_is_shown_once_with_the_hash_that_the_service_is_given(tmp_path):
    from service.api_keys import hash_of

    first, second = (flyweight("hash-key", "--json", "made.json", cwd=tmp_path).stdout for _ in range(2))
    (key, told), (other, _) = (
        re.findall(r"^(?:key|hash) +(\S+)$", shown, re.MULTILINE) for shown in (first, second)
    )
    assert told == hash_of(key)
    assert len(key) == 43 and key != other
    assert other not in (tmp_path / "made.json").read_text()
