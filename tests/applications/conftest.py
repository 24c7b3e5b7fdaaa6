"""`network`: every registered name; `golden`: tools/golden.py as a module; `without_values`: a scope for networks."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HUGE = 2e10  # multiply-adds: families whose cheapest network takes minutes
# Families whose cheapest network takes seconds, by multiply-adds or by depth (moving statistics): the tests below run
# after the default run.
DEAR, DEEP = 1e9, 8000
AFTER = ("test_trains_and_comes_back_from_a_file", "test_rebuilding_equals_the_record")


def _load_tool():
    spec = importlib.util.spec_from_file_location("golden", ROOT / "tools/golden.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pytest_generate_tests(metafunc):
    """Runs a test that takes `network` for each one; all but the cheapest of each group are slow, as are the huge.

    Rebuilding is tested by family, not by group.
    """
    if "network" not in metafunc.fixturenames:
        return
    import selection

    from kerascnn import applications

    facts, names, cheapest = _load_tool().read(), applications.list_models(), {}

    def cost(name):  # of nearly equal ones the shallower comes first, as having fewer batch statistics
        fact = facts.get(name, {"macs": 0, "params_other": 0})
        return float(f"{fact['macs']:.0e}"), fact["params_other"]

    by_family = metafunc.function.__name__ == "test_rebuilding_equals_the_record"
    for name in sorted(names, key=cost):
        family = applications.model_info(name).family
        cheapest.setdefault(family if by_family else selection.group(family), name)
    quick = {name for name in cheapest.values() if facts.get(name, {}).get("macs", 0) < HUGE}
    largest = metafunc.config.getoption("networks_up_to")
    names = [name for name in names if name in quick or facts.get(name, {}).get("params", 0) <= largest]

    def marks(name):
        if name not in quick:
            return pytest.mark.slow
        fact = facts.get(name, {"macs": 0, "params_other": 0})
        dear = fact["macs"] > DEAR or fact["params_other"] > DEEP
        return pytest.mark.after if dear and metafunc.function.__name__ in AFTER else ()

    metafunc.parametrize("network", [pytest.param(name, marks=marks(name)) for name in names])


@pytest.fixture(scope="session")
def golden():
    """The recorder, for its functions."""
    return _load_tool()


@pytest.fixture
def without_values():
    """A scope in which weights have shapes and types, but no values: networks take half the time."""
    import keras

    return keras.StatelessScope(initialize_variables=False)
