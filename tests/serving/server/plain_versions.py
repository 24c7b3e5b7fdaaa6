"""Versions that need no TensorFlow: files with a word that says what is wrong with them."""

from kerascnn.serving.server.status import Refusal


class Loaded:
    """What a loader gives: knows its folder, fails where the folder says so."""

    def __init__(self, folder):
        self.text = (folder / "saved_model.pb").read_text()
        if self.text == "bad":
            raise Refusal("DATA_LOSS", "it is bad")
        if self.text == "fault":
            raise RuntimeError("a fault of ours")
        self.warm, self.closed = 0, False

    def warm_up(self):
        if self.text == "cold":
            raise Refusal("INVALID_ARGUMENT", "its warm-up fails")
        self.warm += 1

    def close(self):
        self.closed = True


def put(folder, number, text="good"):
    (folder / str(number)).mkdir(exist_ok=True)
    (folder / str(number) / "saved_model.pb").write_text(text)


def states(models, name="m"):
    return [(version.number, version.state.name, version.code) for version in models.states(name)]
