"""Another artifact is promoted in the middle, while users ask and click: no request may notice but by its answer.

--promote "flyweight promote sasrec:int8-dynamic --force"
"""

from loadtests.event_story import EventStory


class Rollout(EventStory):
    scenario = "rollout"

    @classmethod
    def hooks(cls, load):
        return (*load.hooks, (load.seconds / 2, load.events.promote))
