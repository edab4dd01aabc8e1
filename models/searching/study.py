"""Optuna's part in a search: what to try next (TPE), and when to give a network up (the median of others).

Its memory is filled from the trials that ended before. Each proposal is seeded by the seed and the number of its
trial alone, so an interrupted study makes the same trials as one without an interruption.
"""

from collections.abc import Callable, Sequence

import numpy as np
import optuna

from contracts.faults import Fault
from models.searching.rehearsal import Rehearsal, Watch
from models.searching.trial_journal import Trial

_DRAWN_AT_RANDOM = 4
"""Trials before Optuna believes what it has seen; minutes buy few of a network."""

_TRIALS_COMPARED, _EPOCHS_SPARED = 3, 2
"""A network is given up when its best epoch so far is below the median of at least so many finished trials at
that epoch, and never in its first epochs."""

_STATES = {
    "finished": optuna.trial.TrialState.COMPLETE,
    "pruned": optuna.trial.TrialState.PRUNED,
    "failed": optuna.trial.TrialState.FAIL,
}


class _OutOfTime(Exception):
    """The minutes are over in the middle of a training."""


class Study:
    """Optuna's memory of the trials, and the next one."""

    def __init__(
        self, rehearsal: Rehearsal, trials: Sequence[Trial], seed: int, clock: Callable[[], float]
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.rehearsal, self.seed, self.clock = rehearsal, seed, clock
        self.space = {knob.field: knob.distribution() for knob in rehearsal.knobs}
        pruner = optuna.pruners.MedianPruner(_TRIALS_COMPARED, n_warmup_steps=_EPOCHS_SPARED + 1)
        self.study = optuna.create_study(direction="maximize", pruner=pruner)
        for trial in trials:
            self._remember(trial)

    def next_trial(self, deadline: float) -> Trial:
        """The given settings where nothing was tried yet, else what Optuna proposes, made until `deadline`."""
        number, begun, epochs = len(self.study.trials), self.clock(), []
        if not number:
            params, ndcg = self.rehearsal.of_given(lambda epoch, ndcg: epochs.append(ndcg))
            trial = Trial(params=params, state="finished", ndcg=ndcg, epochs=epochs, seconds=self.clock() - begun)
            self._remember(trial)
            return trial
        self.study.sampler = _sampler(self.seed, number)
        asked = self.study.ask(self.space)

        def watch(epoch: int, ndcg: float) -> None:
            epochs.append(ndcg)
            asked.report(ndcg, epoch)
            if asked.should_prune():
                raise optuna.TrialPruned
            if self.clock() >= deadline:
                raise _OutOfTime

        state, ndcg = self._outcome(asked.params, watch, epochs)
        self.study.tell(asked, ndcg, _STATES[state])
        seconds = self.clock() - begun
        return Trial(params=asked.params, state=state, ndcg=ndcg, epochs=epochs, seconds=seconds)

    def _outcome(self, params: dict[str, float], watch: Watch, epochs: list[float]) -> tuple[str, float | None]:
        try:
            return "finished", self.rehearsal.of_params(params, watch)
        except _OutOfTime:
            return "finished", max(epochs)  # more epochs could only add a better one
        except optuna.TrialPruned:
            return "pruned", None
        except (Fault, np.linalg.LinAlgError):  # a network that diverges, a matrix that cannot be solved
            return "failed", None

    def _remember(self, trial: Trial) -> None:
        self.study.add_trial(
            optuna.trial.create_trial(
                state=_STATES[trial.state],
                value=trial.ndcg,
                params=trial.params,
                distributions=self.space,
                intermediate_values=dict(enumerate(trial.epochs, start=1)),
            )
        )


def _sampler(seed: int, number: int) -> optuna.samplers.BaseSampler:
    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    return optuna.samplers.TPESampler(seed=own, n_startup_trials=_DRAWN_AT_RANDOM)
