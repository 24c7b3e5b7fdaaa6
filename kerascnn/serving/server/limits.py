"""What one request may take, and how many are accepted at a time."""

import dataclasses

from kerascnn import _check


@dataclasses.dataclass(frozen=True)
class Limits:
    """The limits of a server.

    Args:
        max_body: bytes of a request, also after it was unpacked (gzip).
        max_requests: requests that are being read, wait or are computed at a time; one more is refused at once.
        max_pixels: height times width of an encoded image; beyond it the image is refused before it is decoded. The
            images of one request may have `pixels.SHARE` times as many.
        timeout: seconds for a request, from its first byte to its answer.
        grace: seconds that requests have to finish when the server ends.

    Raises:
        InputError: a number is not positive.
    """

    max_body: int = 64 * 2**20
    max_requests: int = 256
    max_pixels: int = 50_000_000
    timeout: float = 60.0
    grace: float = 30.0

    def __post_init__(self):
        for name in ("max_body", "max_requests", "max_pixels"):
            _check.whole(name, getattr(self, name), 1, 2**62)
        _check.real("timeout", self.timeout, 0.0, 86_400.0, above=True)
        _check.real("grace", self.grace, 0.0, 86_400.0)
