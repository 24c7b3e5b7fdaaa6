"""The command `kerascnn`: parses, calls one function of the library, prints what comes back."""

from kerascnn.cli.main import main, run

__all__ = ["main", "run"]
