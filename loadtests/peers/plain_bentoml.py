"""The plain BentoML peer: an API service as BentoML's documentation has one write it, with its defaults.

The prediction runs in the event loop, as in the FastAPI peer: a thread pool costs more than it brings.
"""

import bentoml

from loadtests.peers import WORKERS
from loadtests.peers.plain_model import Answer, HowMany, UserId, connect_redis, open_model
from service.feature_cache import key_of


@bentoml.service(name="plain", workers=WORKERS)
class PlainBentoml:
    """What next for this user?"""

    def __init__(self) -> None:
        self.model = open_model()
        self.redis = connect_redis()

    @bentoml.api
    async def predict(self, user_id: UserId, k: HowMany = 10) -> Answer:
        return self.model.recommend(await self.redis.get(key_of(user_id)), k)

    @bentoml.on_shutdown
    async def close(self) -> None:
        await self.redis.aclose()
