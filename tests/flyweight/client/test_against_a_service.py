"""Both clients against a real service with keys, and that they take nothing of it to run."""

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import httpx
import msgspec
import pytest

from contracts.client_key import KEY_VARIABLE
from contracts.encoding import REPEAT_POLICIES
from contracts.faults import RunNotValid, UsageFault
from flyweight.asking import ask_all, await_ready, show_answer
from flyweight.client import Event, InvalidRequest, KeyRefused, NoValidEvent, Seen, messages
from service.openapi import openapi_document
from tests.flyweight.client.conftest import Keyed

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "clients.md"
PATIENT_MS = 20_000


@pytest.fixture
def ask(both: Callable, keyed: Keyed) -> object:
    return both(keyed.url, key=keyed.admin_key, deadline_ms=PATIENT_MS)


def test_history_is_answered_by_the_model(ask) -> None:
    answer = ask.predict(history=["i0"], k=2, request_id="mine-1")
    assert [(item.item_id, item.score) for item in answer.items] == [("i1", 0.5), ("i2", 0.25)]
    assert (answer.request_id, answer.source, answer.reason, answer.degraded) == ("mine-1", "model", "ok", False)
    assert (answer.model.name, answer.model.variant) == ("item-to-item", "fp32")
    assert ask.predict(history=["i0"], k=2, exclude=["i1"], seen="keep").item_ids == ["i2", "i3"]


def test_event_is_in_the_very_next_answer_until_the_user_is_forgotten(ask, request) -> None:
    user = f"{request.node.name}/../.%2F ü\n"  # ids are any text
    assert ask.predict(user, k=1).reason == "cold_user"
    click = Event("click", user, "i4", request_id="mine", position=1, value=2.5)
    assert (ask.record([click]).accepted, ask.record([click]).duplicates) == (1, 1)
    assert ask.predict(user, k=1).item_ids == ["i5"]
    assert ask.forget(user).had_history is True
    assert ask.predict(user, k=1).reason == "cold_user"


@pytest.mark.parametrize("user", [".", ".."])
def test_user_whose_id_is_a_way_up_is_forgotten_like_others(ask, user: str) -> None:
    ask.record([Event("click", user, "i4", datetime.now(UTC))])
    assert ask.forget(user).had_history is True


def test_wrong_events_are_told_one_by_one(ask) -> None:
    good, wrong = Event("click", "u7", "i1"), Event("glance", "u7", "i1")
    recorded = ask.record([wrong, good])
    assert (recorded.accepted, [(one.index, one.code) for one in recorded.rejected]) == (1, [(0, "unknown_type")])
    with pytest.raises(NoValidEvent) as caught:
        ask.record([wrong])
    assert caught.value.rejected[0].message.startswith("type: found 'glance'")


def test_refusals_are_told_by_who_is_at_fault(both: Callable, keyed: Keyed, ask) -> None:
    with pytest.raises(InvalidRequest) as wrong:
        ask.predict("u1", k=0)
    assert (wrong.value.status, wrong.value.field) == (400, "k")
    with pytest.raises(KeyRefused) as unknown:
        both(keyed.url, key="other").predict("u1")
    assert unknown.value.status == 401
    with pytest.raises(KeyRefused) as forbidden:
        both(keyed.url, key=keyed.api_key).forget("u1")
    assert forbidden.value.code == "forbidden"


def test_status_and_readiness(ask) -> None:
    status = ask.status()
    assert (status.artifact.name, status.artifact.items, status.workers) == ("item-to-item", 8, 1)
    assert status.features == messages.Features("up", "closed")
    assert ask.ready() is True


def test_key_comes_from_the_environment(both: Callable, keyed: Keyed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, keyed.api_key)
    assert both(keyed.url, deadline_ms=PATIENT_MS).predict(history=["i0"], k=1).item_ids == ["i1"]


def test_command_line_asks_by_it(keyed: Keyed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, keyed.api_key)
    await_ready(keyed.url, 20)
    (answer,) = ask_all(keyed.url, [{"history": ["i0"], "k": 2}])
    shown = show_answer({"history": ["i0"], "k": 2}, answer, {"i1": "First"}).splitlines()
    assert shown[0].startswith("history ['i0']: model (ok), item-to-item:fp32 ")
    assert shown[1].split() == ["1", "i1", "0.5000", "First"]
    with pytest.raises(UsageFault, match="400 invalid_request: k: expected"):
        ask_all(keyed.url, [{"user_id": "u1", "k": 501}])
    with pytest.raises(RunNotValid, match=r"is not ready .*Start it with `flyweight serve`"):
        await_ready("http://127.0.0.1:1", 0)
    with pytest.raises(RunNotValid, match="does not answer"):
        ask_all("http://127.0.0.1:1", [{"user_id": "u1"}])
    with pytest.raises(UsageFault, match="expected one such as"):
        await_ready("127.0.0.1:3000", 0)


def test_ask_shows_the_answer_and_writes_it(keyed: Keyed, world, call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, keyed.api_key)
    ended = call(world, "ask", "--history", "i0", "--k", 2, "--url", keyed.url, "--wait", 20)
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert "model (ok), item-to-item:fp32" in ended.stdout
    (answer,) = ended.result["answers"]
    assert [item["item_id"] for item in answer["items"]] == ["i1", "i2"]
    monkeypatch.delenv(KEY_VARIABLE)
    refused = call(world, "ask", "u1", "--url", keyed.url)
    assert (refused.exit_code, "401 unauthorized" in refused.stderr) == (2, True)


def test_client_says_what_the_description_says() -> None:
    schemas = openapi_document()["components"]["schemas"]

    def fields(struct: type[msgspec.Struct]) -> list[str]:
        return sorted(struct.__struct_fields__)

    for question in ("UserQuestion", "HistoryQuestion"):
        assert sorted(schemas[question]["properties"]) == ["exclude", "history", "k", "seen", "user_id"]
    for name in (
        "Answer",
        "Recorded",
        "Forgetting",
        "Status",
        "Item",
        "Model",
        "Event",
        "Rejected",
        "Features",
        "ServingArtifact",
    ):
        assert sorted(schemas[name]["properties"]) == fields(getattr(messages, name)), name
    assert get_args(Seen) == tuple(REPEAT_POLICIES)


def test_client_is_light_to_import() -> None:
    refused = (
        "bentoml",
        "onnxruntime",
        "numpy",
        "torch",
        "redis",
        "starlette",
        "click",
        "rich",
        "service",
        "export",
    )
    code = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {refused!r}:
            raise ImportError("refused: " + name)
sys.meta_path.insert(0, Refuse())
import flyweight.client
print(*sorted(name for name in sys.modules if name.startswith(("contracts", "flyweight"))))
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    ours = {name for name in ended.stdout.split() if not name.startswith("flyweight.client")}
    assert ours == {"contracts", "contracts.client_key", "flyweight"}


def blocks_of_the_page(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_page_about_clients_does_what_it_says(
    keyed: Keyed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, keyed.admin_key)
    blocks = blocks_of_the_page("python")
    assert len(blocks) == 3
    for block in blocks:
        for of_the_sample, of_this_world in {"000860": "i0", "000164": "i4", "u0019": "u1"}.items():
            block = block.replace(of_the_sample, of_this_world)
        patient = block.replace("deadline_ms=500", "")  # on a machine that halts, what is said is the same
        here = f'Client("{keyed.url}", deadline_ms={PATIENT_MS})'
        exec(patient.replace('Client("http://127.0.0.1:3000")', here), {})
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "i1 0.5"
    assert said[-4:] == ["ok False", "2", "[['i1', 'i2', 'i3'], ['i1', 'i5', 'i2']]", "400 invalid_request k"]


def test_client_generated_from_the_description_asks_and_gets_typed_answers(
    keyed: Keyed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    description, package = tmp_path / "openapi.json", tmp_path / "flyweight-client"
    key = {"Authorization": f"Bearer {keyed.api_key}"}
    description.write_bytes(httpx.get(f"{keyed.url}/openapi.json", headers=key).content)
    bin_folder = Path(sys.executable).parent
    ended = subprocess.run(
        [bin_folder / "openapi-python-client", "generate", "--path", description, "--fail-on-warning"],
        cwd=tmp_path, env={"PATH": str(bin_folder)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout.strip()) == (0, f"Generating {package}"), ended.stderr
    monkeypatch.syspath_prepend(package)
    from flyweight_client import AuthenticatedClient
    from flyweight_client.api.recommendations import predict
    from flyweight_client.api.users import events, forget
    from flyweight_client.models import (
        Answer,
        Error,
        ErrorCode,
        EventsRequest,
        HistoryQuestion,
        Reason,
        Recorded,
        UserQuestion,
    )
    from flyweight_client.models import Event as GeneratedEvent

    (block,) = blocks_of_the_page("python generated")
    exec(block.replace("http://127.0.0.1:3000", keyed.url), {"key": keyed.admin_key})
    with AuthenticatedClient(keyed.url, token=keyed.admin_key) as client:
        answer = predict.sync(client=client, body=HistoryQuestion(["i0"], k=2), x_deadline_ms=3000)
        assert isinstance(answer, Answer)
        assert (answer.reason, [item.item_id for item in answer.items]) == (Reason.OK, ["i1", "i2"])
        click = GeneratedEvent("generated-1", "click", "generated", "i4", datetime.now(UTC))
        recorded = events.sync(client=client, body=EventsRequest([click]))
        assert isinstance(recorded, Recorded)
        assert (recorded.accepted, recorded.rejected) == (1, [])
        assert predict.sync(client=client, body=UserQuestion("generated", k=1)).items[0].item_id == "i5"
        assert forget.sync("generated", client=client).had_history is True
        error = predict.sync(client=client, body=UserQuestion("generated", k=0))
        assert isinstance(error, Error)
        assert (error.error.code, error.error.field) == (ErrorCode.INVALID_REQUEST, "k")
