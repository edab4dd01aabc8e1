"""docs/your-log.md, held to what reads logs: its columns, its times, its reasons, the choice of a protocol."""

import random
import re
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner

from contracts.faults import LogFault
from contracts.sections import Split
from contracts.settings import read_settings
from flyweight.cli import main
from models.logs.checks import MIN_ITEMS, MIN_USERS, REASONS
from models.logs.log import read_log

PAGE = (Path(__file__).parent.parent / "docs" / "your-log.md").read_text()
HEADER, *SHOWN = re.search(r"```\n(invoice,.*?)```", PAGE, re.DOTALL).group(1).splitlines()
KINDS = dict(re.findall(r"^\| (an order|epoch \w+|ISO 8601) \| (.*) \|$", PAGE, re.MULTILINE))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch) -> Path:
    """A log with the columns of the page, its own rows first, and the settings of the page."""
    chance = random.Random(3)
    rows = [HEADER, *SHOWN]
    for n in range(600):
        time = f"2026-05-{1 + n // 24:02} {n % 24:02}:00:00"
        rows.append(
            f"{n},c{chance.randrange(40)},{chance.randrange(30):05},{time},{chance.choice(['buy', 'return'])}"
        )
    (tmp_path / "shop.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "flyweight.toml").write_text(re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL).group(1))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_s_own_columns_and_settings_make_a_log_that_can_be_trained_on(shop):
    ended = CliRunner().invoke(main, ["validate", "--interactions", "shop.csv"])
    assert ended.exit_code == 0, ended.output
    assert "first is row 3: customer='c397', sku='00007'" in ended.stdout
    assert "event type not asked for" in ended.stdout
    assert ended.stdout.endswith("This log can be trained on.\n")
    log = read_log(shop / "shop.csv", read_settings(environ={}).log)
    assert "00045" in log.item_ids


@pytest.mark.parametrize("protocol", get_args(Split.__annotations__["protocol"]))
def test_every_protocol_stands_there_and_splits_the_log(shop, protocol):
    assert f"| `{protocol}`" in PAGE
    command = ["split", "--interactions", "shop.csv", "--protocol", protocol, "--out", "cut"]
    assert CliRunner().invoke(main, command).exit_code == 0


def test_every_reason_for_dropping_a_row_stands_there_and_no_other():
    table = PAGE[PAGE.index("| reason |") : PAGE.index("A *warning*")]
    named = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert sorted(word for cell in named for word in re.findall(r"`([^`]+)`", cell)) == sorted(REASONS)
    assert f"fewer than {MIN_ITEMS} items, fewer than two users" in PAGE
    assert MIN_USERS == 2


@pytest.mark.parametrize("kind", KINDS)
def test_every_time_on_the_page_is_read_as_its_kind(tmp_path, kind):
    for number, example in enumerate(re.findall(r"`([^`]+)`", KINDS[kind])):
        path = tmp_path / f"{number}.csv"
        path.write_text(f"user_id,item_id,timestamp\nu1,i1,{example}\nu1,i2,{example}\n")
        report = read_log(path, read_settings(environ={}).log).report
        assert report.rows_kept == 2, example
        assert kind.removeprefix("an ") in report.timestamp_kind


def test_a_time_without_a_zone_is_utc(tmp_path):
    times = ["2026-05-01 14:47:00", "2026-05-01T14:47:00Z", "2026-05-01 16:47:00+02:00"]
    (tmp_path / "log.csv").write_text(
        "user_id,item_id,timestamp\n" + "".join(f"u,i{n},{t}\n" for n, t in enumerate(times))
    )
    report = read_log(tmp_path / "log.csv", read_settings(environ={}).log).report
    assert (report.rows_kept, report.first_time) == (3, report.last_time)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "log.tsv").write_text("user_id\titem_id\ttimestamp\n")
    with pytest.raises(LogFault, match=r"expected \.csv"):
        read_log(tmp_path / "log.tsv", read_settings(environ={}).log)
