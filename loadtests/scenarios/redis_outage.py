"""Redis goes away after a third of the time and is back after two thirds, while users ask and click.

--down "systemctl stop redis" --up "systemctl start redis"
"""

from loadtests.event_story import EventStory


class RedisOutage(EventStory):
    scenario = "redis-outage"

    @classmethod
    def hooks(cls, load):
        third = load.seconds / 3
        return (*load.hooks, (third, load.events.down), (2 * third, load.events.up))
