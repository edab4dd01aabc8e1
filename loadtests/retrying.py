"""A client that sends a request again when no answer came, as clients in production do."""


class Retrying:
    """Around a client of locust. What came at last counts, and its latency includes the tries before it."""

    def __init__(self, client, retries: int) -> None:
        self._client, self._retries = client, retries

    def post(self, *words, **options):
        """With `catch_response=True`: a try that is dropped stands in no table of locust."""
        response = self._client.post(*words, **options)
        for _ in range(self._retries):
            if response.status_code:
                break
            response = self._client.post(*words, **options)
        return response
