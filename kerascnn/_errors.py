"""The one exception that kerascnn raises on purpose."""


class InputError(ValueError):
    """What the caller passed cannot be used.

    The message is one line: what is wrong, the rule, and what was received. It is a `ValueError`, so code that
    handles Keras' own argument errors handles this one; the command line prints it and exits with status 2.
    """
