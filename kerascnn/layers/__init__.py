"""Keras layers: each wraps one idea, most of them one op of `kerascnn.ops`."""

__all__: list[str] = []
