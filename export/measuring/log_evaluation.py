"""Any artifact on any log: `flyweight evaluate`, with the protocols as they are published."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from contracts.artifact import Artifact
from contracts.faults import RunNotValid
from contracts.machine import cores
from contracts.progress import Progress, silent
from contracts.sections import Settings
from export.measuring.evaluation import PROTOCOL_POLICY, Evaluation, answer, evaluate
from models.logs.log import read_log
from models.splits.codes import as_interactions
from models.splits.cutting import HOLDOUT, cut_by_time, cut_last_out
from models.splits.interactions import Interactions, group_by_user
from models.splits.questions import Questions, cold_questions, every_prefix_questions, next_item_questions
from service.predictor import OnnxPredictor


def evaluate_on_log(
    artifact: Artifact,
    test: Path,
    history: Path | None,
    protocol: str,
    seen: str | None,
    settings: Settings,
    progress: Progress = silent,
    at_most: int | None = None,
) -> Evaluation:
    """Ask the artifact about `test` and judge the answers.

    With `history`, that log holds the histories and `test` the targets; without it `test` is cut as the
    protocol says. `seen` is a repeat policy, `policy` for the artifact's own, or None for the protocol's. Of more
    questions than `at_most`, that many are drawn.
    Raises `RunNotValid` when the logs ask no question.
    """
    user_codes: dict[str, int] = {}
    item_codes = {item: code for code, item in enumerate(artifact.catalog.item_ids)}
    past = None
    if history:
        past = as_interactions(read_log(history, settings.log, progress=progress), user_codes, item_codes)
    future = as_interactions(read_log(test, settings.log, progress=progress), user_codes, item_codes)
    questions, cold = _ask(past, future, protocol, settings, len(user_codes))
    if not questions.histories:
        raise RunNotValid(
            f"{test} asks no question under {protocol}: no user has a history before the target. "
            "Bring --history, or a longer log."
        )
    if at_most:
        questions, cold = questions.drawn(at_most), cold and cold.drawn(at_most)
    policy = artifact.manifest.repeat_policy if seen == "policy" else seen or PROTOCOL_POLICY[protocol]
    answers = answer(OnnxPredictor(artifact, threads=cores()), questions, list(item_codes), policy, progress)
    return evaluate(artifact, answers, cold, list(item_codes), protocol, settings.measuring.resamples)


def _ask(
    past: Interactions | None, future: Interactions, protocol: str, settings: Settings, users: int
) -> tuple[Questions, Questions | None]:
    """The questions, and those of users without a history (every-prefix has none: it starts after one item)."""
    if protocol == "every-prefix":
        questions = every_prefix_questions(future)
        return (_with_earlier_histories(questions, past, future, users) if past else questions), None
    if past is None:
        past, future = _cut(future, protocol, settings)
    return next_item_questions(past, future, users), cold_questions(past, future, users)


def _with_earlier_histories(
    questions: Questions, past: Interactions, future: Interactions, users: int
) -> Questions:
    """What a session's user did before it stands in front of each prefix."""
    user_of_session = np.zeros(future.sessions.max() + 1, dtype=np.int32)
    user_of_session[future.sessions] = future.users
    before = group_by_user(past, users)
    histories = [
        np.concatenate([before.of(user), prefix])
        for user, prefix in zip(user_of_session[questions.groups], questions.histories, strict=True)
    ]
    return replace(questions, histories=histories)


def _cut(log: Interactions, protocol: str, settings: Settings) -> tuple[Interactions, Interactions]:
    """Histories and targets out of one log: what a split calls train and validation, and its holdout."""
    if protocol == "leave-one-out":
        parts = cut_last_out(log.users)
    else:
        parts, *_ = cut_by_time(log.times, settings.split.validation_percent, settings.split.holdout_percent)
    return log.take(parts != HOLDOUT), log.take(parts == HOLDOUT)
