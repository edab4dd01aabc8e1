"""One POST of a JSON body, whatever becomes of it: no exception, no wait beyond what is allowed."""

from collections.abc import Mapping
from typing import NamedTuple

import gevent

from contracts.client_key import key_headers

HEADERS = {"Content-Type": "application/json", **key_headers()}


class Posted(NamedTuple):
    """`status` is 0 where no answer came; `why` then says so in one word. `headers`: names in lower case."""

    status: int
    content: bytes
    headers: Mapping[str, str]
    why: str


def post(client, url: str, path: str, body: bytes, seconds: float) -> Posted:
    """`client`: of locust, in whose tables the request stands by its path."""
    deadline = gevent.Timeout.start_new(max(seconds, 0.001))
    try:
        with client.post(url + path, name=path, data=body, headers=HEADERS, catch_response=True) as response:
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
