"""One POST of a JSON body, whatever becomes of it: no exception, no wait beyond what is allowed."""

from collections.abc import Mapping
from typing import NamedTuple

import gevent

HEADERS = {"Content-Type": "application/json"}


class Posted(NamedTuple):
    """`status` is 0 where no answer came; `why` then says so in one word. `headers`: names in lower case."""

    status: int
    content: bytes
    headers: Mapping[str, str]
    why: str


def post(client, path: str, body: bytes, seconds: float, headers: Mapping[str, str] = HEADERS) -> Posted:
    """`client`: of locust, in whose tables the request stands."""
    deadline = gevent.Timeout.start_new(max(seconds, 0.001))
    try:
        with client.post(path, data=body, headers=dict(headers), catch_response=True) as response:
            status = response.status_code
            why = "" if 0 < status < 400 else f"status {status}" if status else type(response.error).__name__
            if why:
                response.failure(why)
            else:
                response.success()
            found = {name.lower(): value for name, value in (response.headers or {}).items()}
            return Posted(status, response.content or b"", found, why)
    except gevent.Timeout as timeout:
        if timeout is not deadline:
            raise
        return Posted(0, b"", {}, f"not answered within {seconds:.1f} s")
    except Exception as error:  # locust tells of lost connections in other ways
        return Posted(0, b"", {}, type(error).__name__)
    finally:
        deadline.close()
