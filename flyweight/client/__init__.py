"""A typed client for the service, for threads and for asyncio. Needs httpx and msgspec, nothing else of ours but
`contracts.client_key`. How to use it: docs/clients.md.

    with Client("http://127.0.0.1:3000") as client:
        answer = client.predict("u1", k=5, deadline_ms=50)
        client.record([Event("click", "u1", answer.items[0].item_id, request_id=answer.request_id, position=1)])
"""

from flyweight.client.blocking import Client
from flyweight.client.calls import Seen
from flyweight.client.course import Retries
from flyweight.client.errors import (
    ConnectionLost,
    DeadlinePassed,
    FlyweightError,
    InvalidRequest,
    KeyRefused,
    NoAnswer,
    NotUnderstood,
    NoValidEvent,
    Overloaded,
    RequestError,
    ServiceError,
    Unavailable,
    Unreachable,
)
from flyweight.client.for_asyncio import AsyncClient
from flyweight.client.messages import (
    Answer,
    Event,
    Features,
    Forgetting,
    Item,
    Model,
    Recorded,
    Rejected,
    ServingArtifact,
    Status,
)

__all__ = [
    "Answer",
    "AsyncClient",
    "Client",
    "ConnectionLost",
    "DeadlinePassed",
    "Event",
    "Features",
    "FlyweightError",
    "Forgetting",
    "InvalidRequest",
    "Item",
    "KeyRefused",
    "Model",
    "NoAnswer",
    "NoValidEvent",
    "NotUnderstood",
    "Overloaded",
    "Recorded",
    "Rejected",
    "RequestError",
    "Retries",
    "Seen",
    "ServiceError",
    "ServingArtifact",
    "Status",
    "Unavailable",
    "Unreachable",
]
