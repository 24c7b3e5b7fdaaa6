"""Training by several processes, on one machine or many: who takes part, how they meet, and what if one is killed.

    from kerascnn import training
    from kerascnn.training import workers

    with workers.join(out="runs/a") as team:  # before TensorFlow is used
        source, config = ..., training.TrainConfig(strategy="multiworker", batch_size=256)
        training.train(build_model, source, config, team.out, workers=team, ...)

`find`, `Members` and `launch` import no TensorFlow.
"""

from typing import TYPE_CHECKING

from kerascnn import _lazy
from kerascnn.training.workers.members import Members, find

if TYPE_CHECKING:
    from kerascnn.training.workers import launch
    from kerascnn.training.workers.fitting import fit
    from kerascnn.training.workers.team import Team, join

__all__ = ["Members", "Team", "find", "fit", "join", "launch"]

__getattr__, __dir__ = _lazy.attach(__name__, {"fitting": ["fit"], "team": ["Team", "join"]}, ["launch"])
