"""What an answer must be to count: fast is worth nothing when it is wrong."""

from collections.abc import Container, Mapping

import msgspec

from contracts.reasons import Reason, Source
from loadtests.visits import Question, forbidden


class WrongAnswer(Exception):
    """What is wrong with an answer, in few words and without ids, so that equal complaints add up."""

    answered = True


class NoAnswer(WrongAnswer):
    """None came, or it came too late."""

    answered = False


class Item(msgspec.Struct):
    item_id: str
    score: float


class Model(msgspec.Struct):
    name: str
    variant: str
    version: str


class Answer(msgspec.Struct):
    request_id: str
    items: list[Item]
    model: Model
    source: Source
    reason: Reason
    degraded: bool


_decoder = msgspec.json.Decoder(Answer)


def check_answer(
    question: Question,
    body: bytes,
    sent_id: str,
    echoed_id: str | None,
    catalog: Container[str] = (),
    policies: Mapping[str, str] = {},
) -> Answer:
    """Read the body of a 200 and hold it against the question; an empty `catalog` allows every item.

    `sent_id` and `echoed_id` are the request's and the answer's X-Request-Id. `policies`: model version -> repeat
    policy. Raises `WrongAnswer`.
    """
    try:
        answer = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise WrongAnswer(f"cannot be read: {error}") from error
    if not answer.request_id == echoed_id == sent_id:
        raise WrongAnswer("request id is not the one that was sent")
    if answer.degraded != answer.reason.degraded:
        raise WrongAnswer(f"reason {answer.reason} with degraded {str(answer.degraded).lower()}")
    _check_items(question, answer, catalog, policies)
    return answer


def _check_items(question: Question, answer: Answer, catalog: Container[str], policies: Mapping[str, str]) -> None:
    ids = [item.item_id for item in answer.items]
    if not question.fewest <= len(ids) <= question.k:
        raise WrongAnswer(f"{len(ids)} items where {question.k} were asked for")
    if len(set(ids)) < len(ids):
        raise WrongAnswer("an item comes twice")
    if catalog and not all(item in catalog for item in ids):
        raise WrongAnswer("an item is not in the catalog")
    if answer.source == Source.MODEL:
        policy = policies.get(answer.model.version)
        unwanted = forbidden(question, policy)
        if any(item in unwanted for item in ids):
            raise WrongAnswer(f"an item that the user has seen, which repeat policy {policy} forbids")
