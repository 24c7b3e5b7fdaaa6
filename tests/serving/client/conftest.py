import pytest


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """Tests speak to this machine alone, whatever the environment says of proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
