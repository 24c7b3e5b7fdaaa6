"""The data tests never touch Keras, so they need not reset it, which costs more than most of them."""

import pytest


@pytest.fixture(autouse=True)
def fresh_keras():
    """Takes the place of the fixture of this name for all other tests."""
