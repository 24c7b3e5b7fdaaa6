"""Where labelled images come from, one file a kind of set."""
