"""TensorFlow for the command line: loaded late and without chatter."""

import os
import sys
import tempfile

_CHATTER = (b"WARNING: All log messages before absl::InitializeLog()", b"I0000 ")


def load_tensorflow() -> None:
    """Imports TensorFlow without the lines that it writes to stderr before its log level counts; passes on others."""
    if "tensorflow" in sys.modules or "TF_CPP_MAX_VLOG_LEVEL" in os.environ:
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            written.seek(0)
            for line in written:
                if not line.startswith(_CHATTER):
                    os.write(2, line)
