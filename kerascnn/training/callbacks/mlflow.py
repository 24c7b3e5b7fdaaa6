"""A run in MLflow."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerascnn.training.callbacks.tracker import Tracker

_EXPERIMENT = "kerascnn"  # unless MLFLOW_EXPERIMENT_NAME says otherwise
_AT_ONCE = 100  # parameters that MLflow takes in one call


class MLflow(Tracker):
    """Follows a run in MLflow: settings as parameters, measures by epoch, and the files of the run folder as artifacts.

    MLflow's own variables say where: `MLFLOW_TRACKING_URI` (without it mlflow.db and mlruns in the directory of the
    process, without any server), `MLFLOW_EXPERIMENT_NAME` ("kerascnn"). Nothing global of MLflow is changed. A
    parameter that has another value when the run is resumed becomes the tag "resumed.NAME": MLflow changes none.

    Args:
        folder, settings, name: see `Tracker`.

    Raises:
        InputError: `pip install 'kerascnn[mlflow]'` is missing; in `fit`, the server cannot be reached.

    Example:

        model.fit(images, labels, callbacks=[MLflow("runs/a", settings={"batch_size": 32})])
    """

    package, title = "mlflow", "MLflow"

    def start(self, known: str | None, settings: Mapping[str, Any]) -> str:
        """See `Tracker`."""
        import os

        from mlflow import MlflowClient
        from mlflow.entities import Param  # pyright: ignore[reportMissingImports]: an extra

        self._client = MlflowClient()
        if known is None:
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME", _EXPERIMENT)
            found = self._client.get_experiment_by_name(name)
            experiment = found.experiment_id if found else self._client.create_experiment(name)
            known = self._client.create_run(experiment, run_name=self._name).info.run_id
        self._run = known
        self._client.update_run(known, status="RUNNING")
        before = self._client.get_run(known).data.params
        texts = {key: str(value) for key, value in settings.items()}
        new = [Param(key, text) for key, text in texts.items() if key not in before]
        for index in range(0, len(new), _AT_ONCE):
            self._client.log_batch(known, params=new[index : index + _AT_ONCE])
        for key, text in texts.items():
            if before.get(key, text) != text:
                self._client.set_tag(known, f"resumed.{key}", text)
        return known

    def tell(self, epoch: int, values: Mapping[str, float]) -> None:
        """See `Tracker`."""
        from mlflow.entities import Metric  # pyright: ignore[reportMissingImports]: an extra

        now = round(1000 * time.time())
        self._client.log_batch(self._run, metrics=[Metric(key, value, now, epoch) for key, value in values.items()])

    def finish(self, files: list[Path], is_whole: bool) -> None:
        """See `Tracker`."""
        for file in files:
            self._client.log_artifact(self._run, str(file))
        self._client.set_terminated(self._run, "FINISHED" if is_whole else "KILLED")
