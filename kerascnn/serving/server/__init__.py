"""A server for development: TensorFlow Serving's REST interface and gRPC services on its folder layout.

`kerascnn serve` runs it. Its modules are imported where they are used, because aiohttp, grpcio and prometheus_client
are in the extra `serve` only, and TensorFlow takes seconds.
"""
