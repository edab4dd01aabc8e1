"""Switches protections of the service off, for control runs of `make chaos`. Python imports this at its start.

CHAOS_WITHOUT names them. Nothing of the service knows of it: functions are replaced when their module is loaded.
"""

import importlib.abc
import importlib.util
import os
import random
import sys


def _nothing(*_, **__):
    """Instead of a check."""


def _always_new(event_id):
    """Instead of the fingerprint of an event id: none comes twice."""
    return random.getrandbits(62)


PROTECTIONS = {
    "checksums": (("contracts.artifact", "verify_file", _nothing),),
    "probes": (("service.predictor", "OnnxPredictor.replay_probes", _nothing),),
    "breaker": (("service.breaker", "Breaker._open", _nothing),),
    "deduplication": (("service.event_store", "_fingerprint", _always_new),),
}
"""Name -> module, what is replaced in it, by what."""


class _Unprotected(importlib.abc.MetaPathFinder):
    def __init__(self, replaced):
        self._replaced = replaced

    def find_spec(self, name, path=None, target=None):
        mine = self._replaced.pop(name, None)
        if mine is None:
            return None
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            for place, replacement in mine:
                owner = module
                *way, last = place.split(".")
                for step in way:
                    owner = getattr(owner, step)
                getattr(owner, last)  # what is not there any more protects nobody, and must not pass unseen
                setattr(owner, last, replacement)

        spec.loader.exec_module = exec_module
        return spec


_replaced = {}
for _name in filter(None, os.environ.get("CHAOS_WITHOUT", "").split(",")):
    for _module, _place, _replacement in PROTECTIONS[_name]:
        _replaced.setdefault(_module, []).append((_place, _replacement))
if _replaced:
    sys.meta_path.insert(0, _Unprotected(_replaced))
