"""The run of a model that somebody brought along: nothing was trained here, but what is known of it stands where
trainings do, so that it is measured and promoted as they are.

Its folder holds `run.json` alone. The graph lies in its artifacts.
"""

import hashlib

import msgspec

from contracts import durable
from contracts.encoding import RepeatPolicy
from contracts.sections import Settings
from models.runs import RUN, SCHEMA_VERSION, Run, described_runs


def record_adopted(
    name: str,
    beside: Run,
    identity: dict[str, object],
    policies: tuple[RepeatPolicy, dict[RepeatPolicy, float]],
    made_by: dict[str, str],
    settings: Settings,
) -> Run:
    """Write the run of the adopted model `name`, measured on the split that the run `beside` learned from.

    `identity` is all that decides what it answers, the graph's sha256 among it; `policies` the best repeat policy
    and the NDCG@10 of each on the validation part; `made_by` names what wrote the graph, with its version.
    """
    first = beside.description
    decisive = [SCHEMA_VERSION, name, first.split_sha256, identity]
    best, figures = policies
    description = msgspec.structs.replace(
        first,
        rung=name,
        variant="fp32",
        key=hashlib.sha256(msgspec.json.encode(decisive)).hexdigest(),
        settings=identity,
        chosen={},
        repeat_policy=best,
        policies=figures,
        validation={"NDCG@10": figures[best]},
        epochs=[],
        libraries=made_by,
    )
    run = Run(settings.paths.runs / description.folder_name, description)
    with durable.lock(settings.paths.runs / f".{run.folder.name}.lock"):
        content = msgspec.json.format(msgspec.json.encode(description), indent=2)
        durable.write_bytes(run.folder / RUN, content)
        durable.make_newest(run.folder / RUN, described_runs(settings.paths.runs))
    return run
