"""A run in Weights & Biases."""

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerascnn.training.callbacks.tracker import Tracker

_PROJECT = "kerascnn"  # unless WANDB_PROJECT says otherwise


class WandB(Tracker):
    """Follows a run in Weights & Biases: settings as its config, measures by epoch, the files of the run folder.

    Its own variables say where and how: `WANDB_PROJECT` ("kerascnn"), `WANDB_MODE=offline`, with which all is written
    into the folder for `wandb sync`, `WANDB_API_KEY` or `wandb login`.

    Args:
        folder, settings, name: see `Tracker`.

    Raises:
        InputError: `pip install 'kerascnn[wandb]'` is missing; in `fit`, there is no key, or nothing can be reached.

    Example:

        model.fit(images, labels, callbacks=[WandB("runs/a", settings={"batch_size": 32})])
    """

    package, title = "wandb", "W&B"

    def start(self, known: str | None, settings: Mapping[str, Any]) -> str:
        """See `Tracker`."""
        import wandb

        known = known or uuid.uuid4().hex[:12]
        self._folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT), id=known, resume="allow", name=self._name,
            dir=str(self._folder), config=dict(settings), settings=wandb.Settings(console="off", silent=True),
            allow_val_change=True,
        )  # fmt: skip
        self._run.define_metric("*", step_metric="epoch")  # an epoch that is repeated after a kill is told twice
        return known

    def tell(self, epoch: int, values: Mapping[str, float]) -> None:
        """See `Tracker`."""
        self._run.log({"epoch": epoch, **values})

    def finish(self, files: list[Path], is_whole: bool) -> None:
        """See `Tracker`."""
        for file in files:
            self._run.save(str(file.resolve()), base_path=str(self._folder.resolve()), policy="now")
        self._run.finish(exit_code=0 if is_whole else 1)
