"""/docs: nothing comes from elsewhere, in what is served and in a browser that opens it."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from contracts.artifact import Artifact
from service import docs_page
from service.api_keys import hash_of, new_key
from service.app import create_app
from service.docs_page import FILES, place_of, version
from tests.service.browser import CHROMIUM, Browser, browser
from tests.service.in_process import served
from tests.service.test_app import assert_error, make_worker


@pytest.fixture
def client(tmp_path: Path, promoted: Artifact) -> Iterator[TestClient]:
    with TestClient(create_app(make_worker(tmp_path))) as client:
        yield client


def test_page_loads_only_its_own_files_by_version(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    loaded = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert sorted(loaded) == sorted(["data:,", *(f"docs/{name}?v={version()}" for name in FILES)])
    assert "<style" not in page.text and re.findall(r"<script(?! src)", page.text) == []


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_there_and_kept_by_browsers_when_asked_for_by_version(client: TestClient, name: str) -> None:
    found = client.get(f"/docs/{name}?v={version()}")
    assert (found.status_code, found.content) == (200, place_of(name).read_bytes())
    assert found.headers["content-type"].encode() == FILES[name]
    assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
    for other in ("", "?v=000000000000"):
        assert client.get(f"/docs/{name}{other}").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["", "page.html", "../api.py", "..%2Fapi.py", "swagger-ui.css/", "index.css"])
def test_no_other_file_can_be_asked_for(client: TestClient, name: str) -> None:
    assert_error(client.get(f"/docs/{name}"), 404)


def test_policy_lets_the_browser_load_nothing_from_elsewhere(client: TestClient) -> None:
    policy = dict(
        part.split(" ", 1) for part in client.get("/docs").headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert set(" ".join(policy.values()).split()) == {"'none'", "'self'", "data:"}


def test_our_files_name_no_other_host_and_the_others_are_swagger_ui_for_this_openapi() -> None:
    for ours in docs_page._OURS.iterdir():
        assert not re.search(r"""https?:|["'(]//""", ours.read_text()), ours
    styles = place_of("swagger-ui.css").read_text()
    assert "@import" not in styles
    assert set(re.findall(r"""url\(\s*["']?([^)]{5})""", styles)) == {"data:"}
    (release,) = re.findall(r'PACKAGE_VERSION:"(\d+)\.', place_of("swagger-ui-bundle.js").read_text())
    assert int(release) >= 5  # the first that reads OpenAPI 3.1


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)")
def test_in_a_browser_the_page_asks_for_the_key_and_the_api_can_be_tried(
    tmp_path: Path, promoted: Artifact
) -> None:
    key = new_key()

    def look(url: str) -> tuple[Browser, dict]:
        with browser(tmp_path / "profile") as tab:
            tab.open(f"{url}/docs")
            tab.await_that("document.getElementById('asking')?.hidden === false")
            give_key(tab, "wrong")
            tab.await_that("document.getElementById('refusal').innerText.includes('none of those')")
            give_key(tab, key)
            return tab, try_predict(tab)

    async def scenario() -> tuple[str, Browser, dict]:
        async with served(tmp_path, api_keys=(hash_of(key),)) as opened:
            url = f"http://127.0.0.1:{opened.port}"
            return url, *await asyncio.to_thread(look, url)

    url, tab, answer = asyncio.run(scenario())
    assert [item["item_id"] for item in answer["items"]] == ["i1", "i2", "i3"]
    asked = {each.partition("?")[0] for each in tab.requested if not each.startswith("data:")}
    paths = ("/docs", "/openapi.json", "/predict", *(f"/docs/{name}" for name in FILES))
    assert asked == {f"{url}{path}" for path in paths}
    assert [each for each in tab.complaints if "401" not in each] == []


def give_key(tab: Browser, key: str) -> None:
    tab.says(f"document.getElementById('key').value = {json.dumps(key)}; 0")
    tab.click("#asking button")


def try_predict(tab: Browser) -> dict:
    predict = "#operations-recommendations-predict"
    tab.click(f"{predict} .opblock-summary-control")
    tab.click(f"{predict} .try-out__btn")
    tab.click(f"{predict} .execute")
    status = f"document.querySelector('{predict} .live-responses-table tbody .response-col_status')?.innerText"
    assert str(tab.await_that(status)).startswith("200")
    shown = tab.says(f"document.querySelector('{predict} .live-responses-table .highlight-code').innerText")
    return json.loads(str(shown).removeprefix("Download"))
