"""Which networks the tests over the registry take by default: the cheapest of each group of families."""

from kerascnn import applications


def group(family: str) -> str:
    """Families of cells share one builder, whose networks have hundreds of layers: one stands for all."""
    rows = (applications.model_info(name).spec for name in applications.list_models(family=family))
    return "cells" if any(hasattr(row, "genotype") for row in rows) else family
