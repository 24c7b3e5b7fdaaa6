"""Training with mixed images, whose labels are soft."""

import pytest

from kerascnn._errors import InputError
from kerascnn.training import history


@pytest.mark.after
def test_a_run_with_mixtures_resumes_to_the_same_history(tmp_path, train, same_history):
    """Stopped after the first of two epochs; validation has class numbers as ever."""
    settings = {"augment": "flip + mixup(0.2)", "warmup_epochs": 0.0, "schedule": "constant"}
    train(tmp_path / "whole", epochs=2, **settings)
    train(tmp_path / "run", epochs=1, **settings)
    assert train(tmp_path / "run", epochs=2, **settings).first_epoch == 1
    same_history(tmp_path / "whole" / "history.csv", tmp_path / "run" / "history.csv")
    assert 0 < history.read(tmp_path / "run" / "history.csv")[1]["val_accuracy"] <= 1


def test_an_augmentation_that_is_not_there(tmp_path, train):
    with pytest.raises(InputError, match="near to mixp: mixup"):
        train(tmp_path / "run", augment="flip + mixp")
    assert not (tmp_path / "run").exists()
