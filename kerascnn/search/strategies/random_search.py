"""Random search: the baseline of every other strategy.

Bergstra, Bengio: Random Search for Hyper-Parameter Optimization, 2012, Journal of Machine Learning Research 13; for
architectures Li, Talwalkar: Random Search and Reproducibility for Neural Architecture Search, 2019, arXiv:1902.07638.
"""

import dataclasses

from kerascnn.search.records import Proposal
from kerascnn.search.strategies.searcher import Searcher


@dataclasses.dataclass(eq=False)
class RandomSearch(Searcher):
    """Draws all candidates alike. One of n draws is among the best share q with probability 1 - (1 - q)^n: 59 draws
    reach the best 5 % with 95 %.

    Source:
        Bergstra, Bengio, 2012, section 2.
    """

    def draw(self) -> Proposal:
        """The next proposal."""
        return self.proposal(self.space.sample(self.rng))
