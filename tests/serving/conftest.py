"""One export that the tests of this folder share."""

import pytest
from serving_nets import export_options, small_net

from kerascnn import serving


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """(model, folder of version 1), exported with the whole check."""
    model = small_net()
    folder = serving.export(model, tmp_path_factory.mktemp("exported"), **export_options(check=True))
    return model, folder


@pytest.fixture(scope="session")
def loaded(exported):
    return serving.load(exported[1])
