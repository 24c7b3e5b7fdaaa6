"""What a client raises where the server does not answer as asked."""

from kerascnn._errors import InputError

# Worth another try: nothing was computed, and it may be in a moment. HTTP statuses, and codes of gRPC.
_PASSING = (429, 503, "RESOURCE_EXHAUSTED", "UNAVAILABLE")


class ServerError(InputError):
    """The server refused, could not be reached, or took too long.

    Args:
        message: one line.
        status: the HTTP status, 404, or the code of gRPC, "NOT_FOUND"; None: there was no answer.
        reason: what the server said, in its words; or what broke the connection.
        wait: seconds that the server asks to wait before the next try; negative: no other try is wanted.
        passing: whether another try may help; None: where the status says so.

    Example:

        from kerascnn.serving import Client, ServerError

        try:
            Client("http://localhost:8501", "flowers").classify(["tulip.jpg"])
        except ServerError as error:
            print(error.status, error.reason, error.attempts)
    """

    def __init__(
        self,
        message: str,
        status: int | str | None = None,
        reason: str = "",
        wait: float = 0.0,
        passing: bool | None = None,
    ):
        super().__init__(message)
        self.message, self.status, self.reason, self.wait = message, status, reason, wait
        self.passing = status in _PASSING if passing is None else passing
        self.attempts = 1  # how often the server was asked

    def __str__(self) -> str:
        return f"{self.message}, asked {self.attempts} times" if self.attempts > 1 else self.message


def refused(status: int | str, reason: str, asked: str, wait: float = 0.0) -> ServerError:
    """The error for an answer that says no.

    Args:
        status: HTTP status, or code of gRPC.
        reason: the server's words.
        asked: the address.
        wait: seconds that the server asks to wait.
    """
    reason = " ".join(reason.split())[:300] or "no reason given"
    return ServerError(f"The server refused ({status}: {reason}). Received: {asked}", status, reason, wait)


def unreachable(reason: str, asked: str, passing: bool = True) -> ServerError:
    """The error for a connection that cannot be made, or breaks.

    Args:
        reason: the system's words.
        asked: the address.
        passing: whether another try may help.
    """
    return ServerError(f"The server cannot be reached ({reason}). Received: {asked}", None, reason, passing=passing)


def late(seconds: float, asked: str) -> ServerError:
    """The error for an answer that did not come in time.

    Args:
        seconds: that all attempts had together.
        asked: the address.
    """
    return ServerError(f"The server must answer within {seconds:g} s. Received: {asked}", None, "deadline exceeded")
