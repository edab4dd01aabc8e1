"""Verbs about who may ask: hash-key."""

from flyweight.verb import Desk, Outcome, verb


@verb()
def hash_key(desk: Desk) -> Outcome:
    """Make a random key for clients, and its hash for [service] api-keys or admin-keys.

    The key is shown this once and kept nowhere. `--json` writes the hash alone.
    """
    from service.api_keys import hash_of, new_key

    key = new_key()
    desk.out.say(f"key   {key}\nhash  {hash_of(key)}")
    desk.out.say("Clients send `Authorization: Bearer KEY`; the service is given the hash.")
    return Outcome({"hash": hash_of(key)})
