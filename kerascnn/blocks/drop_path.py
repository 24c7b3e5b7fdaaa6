"""Stochastic depth on a residual branch."""


def drop_path(x, rate: float, *, name: str):
    """Drops the branch of a sample with probability `rate` in training (Huang et al. 2016, arXiv:1603.09382)."""
    if not rate:
        return x
    from kerascnn.layers.drop_path import DropPath

    return DropPath(rate, name=name)(x)
