"""One file a command: its row, its flags and its `run`. A new command is a new file here that exposes `COMMAND`."""
