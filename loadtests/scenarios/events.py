"""Users ask and click: requests as in `server`, and calls of POST /events beside them, independent of one another.

Most calls measure how soon an answer reflects them: see loadtests/freshness.py. Half of the known users click, the
others only ask.
"""

from loadtests.event_story import EventStory


class Events(EventStory):
    scenario = "events"
