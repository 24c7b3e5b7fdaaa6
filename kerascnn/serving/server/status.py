"""What a request ended with: the status codes of gRPC and TensorFlow, and the HTTP status of each.

Source: tensorflow/serving, model_servers/http_server.cc (HTTP status of each code); grpc/grpc, doc/statuscodes.md.
"""

from kerascnn import _check
from kerascnn._errors import InputError

# Code -> (its number in gRPC and TensorFlow, its HTTP status).
CODES = {
    "OK": (0, 200),
    "CANCELLED": (1, 499),
    "UNKNOWN": (2, 500),
    "INVALID_ARGUMENT": (3, 400),
    "DEADLINE_EXCEEDED": (4, 504),
    "NOT_FOUND": (5, 404),
    "ALREADY_EXISTS": (6, 409),
    "PERMISSION_DENIED": (7, 403),
    "RESOURCE_EXHAUSTED": (8, 429),
    "FAILED_PRECONDITION": (9, 400),
    "ABORTED": (10, 409),
    "OUT_OF_RANGE": (11, 400),
    "UNIMPLEMENTED": (12, 501),
    "INTERNAL": (13, 500),
    "UNAVAILABLE": (14, 503),
    "DATA_LOSS": (15, 500),
    "UNAUTHENTICATED": (16, 401),
}
_LONGEST = 2000  # letters of a message: names in it come from the client
_NAMES = {number: name for name, (number, _) in CODES.items()}


class Refusal(InputError):
    """A request that gets an error for an answer.

    Args:
        code: one of `CODES`.
        message: for the client, where TensorFlow Serving has the same error in its words.
        http: the HTTP status where it is not that of the code, such as 413.

    Raises:
        InputError: there is no such code.
    """

    def __init__(self, code: str, message: str, http: int | None = None):
        super().__init__(message[:_LONGEST])
        self.code = _check.one_of("code", code, CODES)
        self.http = CODES[code][1] if http is None else _check.whole("http", http, 400, 599)

    @property
    def number(self) -> int:
        """The number of the code in gRPC."""
        return CODES[self.code][0]


def invalid(message: str) -> Refusal:
    """The refusal INVALID_ARGUMENT, which HTTP calls 400."""
    return Refusal("INVALID_ARGUMENT", message)


def code_of(number: int) -> str:
    """The name of a code; "UNKNOWN" for a number that is none.

    Args:
        number: as in TensorFlow's errors (`error_code`).
    """
    return _NAMES.get(number, "UNKNOWN")
