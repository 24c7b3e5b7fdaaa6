"""The tree-structured Parzen estimator, by Optuna: proposes what is likelier among good results than among the others.

Bergstra, Bardenet, Bengio, Kégl: Algorithms for Hyper-Parameter Optimization, 2011, NeurIPS 24. Needs the extra
`search`; Optuna is imported when a search begins.
"""

import dataclasses
import importlib
import types

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.search.records import Proposal, Result, Tokens
from kerascnn.search.strategies.searcher import Searcher

TRIES = 100  # proposals in a row that may be refused by the space


@dataclasses.dataclass(eq=False)
class TPE(Searcher):
    """Optuna's TPE over the tokens, each for itself and without an order of its values.

    Departures: candidates that failed are not learned from; after a hundred proposals that the space refuses it draws
    at random.

    Args:
        initial: random candidates before the first that is learned.
        candidates: that are drawn for each token, of which the most promising is taken.

    Raises:
        InputError: an argument is out of range; when the search begins: Optuna is not installed.

    Source:
        Bergstra et al., 2011, section 4; 24 candidates: Optuna's default.

    Example:

        run(space, TPE(), evaluate, budget=100)
    """

    initial: int = 10
    candidates: int = 24

    def __post_init__(self):
        _check.whole("initial", self.initial, 1)
        _check.whole("candidates", self.candidates, 1)

    def start(self) -> None:
        """Begins a study in memory."""
        self._optuna = _optuna()
        sampler = self._optuna.samplers.TPESampler(
            n_startup_trials=self.initial, n_ei_candidates=self.candidates, seed=int(self.rng.integers(2**31))
        )
        self._study = self._optuna.create_study(direction="maximize", sampler=sampler)
        choose = self._optuna.distributions.CategoricalDistribution
        self._values = {f"token{place}": choose(range(size)) for place, size in enumerate(self.space.sizes)}
        self._trials = {}  # of what is under way, by id

    def draw(self) -> Proposal:
        """What the study asks for."""
        for _ in range(TRIES):
            trial, tokens = self._ask()
            if self.space.wrong(tokens) is None:
                break
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        else:
            self._study.enqueue_trial(dict(zip(self._values, self.space.sample(self.rng), strict=True)))
            trial, tokens = self._ask()
        proposal = self.proposal(tokens)
        self._trials[proposal.id] = trial
        return proposal

    def _ask(self) -> tuple[object, Tokens]:
        trial = self._study.ask(self._values)
        return trial, tuple(int(trial.params[name]) for name in self._values)

    def learn(self, proposal: Proposal, result: Result) -> None:
        """Tells the study."""
        trial = self._trials.pop(proposal.id)
        if result.ok:
            self._study.tell(trial, result.value)
        else:
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)


def _optuna() -> types.ModuleType:
    try:
        optuna = importlib.import_module("optuna")
    except ImportError as error:
        rule = "TPE needs Optuna: pip install 'kerascnn[search]'"
        raise InputError(f"{rule}. Received: an installation without it") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
