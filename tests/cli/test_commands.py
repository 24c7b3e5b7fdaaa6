"""The command line: exit status, one line on stderr, and the commands end to end on a tiny run."""

import errno
import importlib
import json
import os
import subprocess
import sys

import keras
import pytest
import tensorflow as tf

from kerascnn import cli, data
from kerascnn.cli import command
from kerascnn.cli.commands.train import INITIALIZERS

TRAIN = "train --model lenet5 --data digits --limit 64 --epochs 1 --batch-size 32".split()


def refused(capsys, *arguments):
    """Runs a command that must end in status 2 with one line on stderr, and returns that line."""
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("kerascnn: ") and error.count("\n") == 1, error
    return error


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of one epoch."""
    out = tmp_path_factory.mktemp("run") / "lenet"
    assert cli.main([*TRAIN, "--out", str(out)]) == 0
    return out


def test_overview_and_help(capsys):
    for arguments in ([], ["--help"], ["help"]):
        assert cli.main(arguments) == 0
        shown = capsys.readouterr().out
        assert all(f"  {name} " in shown for name in command.find())
    for name, found in command.find().items():
        assert cli.main([name, "--help"]) == 0
        shown = capsys.readouterr().out
        assert found.example in shown
        assert all(f"--{flag}" in shown for flag in found.required)
    assert cli.main(["--version"]) == 0


def test_examples_are_command_lines():
    for name, found in command.find().items():
        words = found.example.replace('"', "").split()
        assert words[:2] == ["kerascnn", name]
        found.parse(words[2:])


def test_dashes_underscores_and_order():
    parse = command.find()["train"].parse
    base = ["--model", "a", "--data=b", "--out", "c"]
    for spelling in (["--batch-size", "8"], ["--batch_size=8"], ["--batch-size=8"]):
        assert parse([*spelling, *base])[0]["batch_size"] == 8
    for spelling in ("--no-nesterov", "--no_nesterov", "--nonesterov", "--nesterov=false"):
        assert parse([*base, spelling])[0]["nesterov"] is False
    predict = command.find()["predict"].parse
    assert predict(["a-b.png", "--top", "2", "c.png"])[1] == ["a-b.png", "c.png"]
    assert predict(["--top=2", "--", "--odd-name.png"])[1] == ["--odd-name.png"]


@pytest.mark.parametrize(
    "line, words",
    [
        ("trian", "did you mean train? Received: trian"),
        ("explian", "did you mean explain"),
        ("zzz", "the commands are benchmark"),
        ("train --modle x", "has no such flag; did you mean --model? Received: --modle"),
        ("train --model resnet20", "needs --data and --out"),
        ("train --model resnet20 --data digits --set epoch=3 --out c", "did you mean epochs?"),
        ("train --model resnet20 --data digits --set epochs --out c", "takes KEY=VALUE"),
        ("train --model resnet20 --data digits --set epochs=3 --set epochs=4 --out c", "once. Received: epochs twice"),
        ("train --model resnet20 --data digits --set epochs=3 --epochs 4 --out c", "must say the same"),
        ("train --model resnet20 --data digits --set nesterov=maybe --out c", "nesterov must be true or false"),
        ("train --model resnet20 --data digits --set milestones=0.9,0.1 --out c", "milestones must be"),
        ("recipes nothing", "NAME must be one of a1"),
        ("recipes wrn --set epochs=0", "epochs must be a whole number"),
        ("train --model a --data b --out c d", "takes flags only. Received: d"),
        ("train --model a --data b --out c --epochs many", "epochs"),
        ("train --model a --data b --out c --epochs 0", "epochs must be"),
        ("train --model a --data b --out c --schedule fast", "schedule"),
        ("train --model a --data b --out c --milestones 0.5,x", "milestones must be"),
        ("train --model a --data b --out c --image-size 0", "image_size must be a whole number"),
        ("train --model resnet20 --data digits --out c --virtual-devices 2", "strategy=mirrored only"),
        ("train --model resnet2 --data digits --out c", "resnet20"),
        ("train --model resnet20 --data digits --initializer he --weights a.keras --out c", "either drawn or read"),
        ("train --model resnet20 --data digits --auxiliary-heads --out c", "Received: auxiliary_heads"),
        ("train --model lenet5 --data digits --output-stride 8 --out c", "Received: output_stride"),
        ("train --model resnet20 --data digits --distill hard --out c", "distill is for training with a teacher"),
        ("train --model resnet20 --data digits --teacher /no/run --out c", "/no/run"),
        ("train --model resnet20 --data digits --teacher resnet2 --out c", "must be a run folder, a .keras file"),
        ("train --model resnet20 --data digits --class-weights 1,2 --out c", "for each of the 10 classes"),
        ("train --model resnet20 --data no_such_set --out c", "no_such_set"),
        ("train --model resnet20 --data digits --data-dir /no/where --out c", "/no/where"),
        ("train --model resnet50 --data digits --image-size 8 --out c", "32 pixels or more. Received: image_size=8"),
        ("train --model resnet20 --data digits --limit 64 --out /dev/null/run", "a file is in the way"),
        (
            "train --model resnet20 --task segmentation --data shapes --out c",
            "for classification. Received: task",
        ),
        ("train --model fcn8s_vgg11_bn_small --data digits --out c", "must have masks. Received: 'digits'"),
        ("train --model resnet20 --data shapes --out c", "must have labels. Received: 'shapes'"),
        ("info", "needs NAME"),
        ("info resnet", "Received"),
        ("list nothing*", "No network fits"),
        ("evaluate --checkpoint /no/run", "/no/run"),
        ("evaluate --checkpoint a --split dev", "split"),
        ("evaluate --checkpoint a --batch_size 0", "batch_size"),
        ("predict image.png", "needs a trained network: --checkpoint RUN"),
        ("predict --checkpoint a --saved-model b image.png", "needs a trained network: --checkpoint RUN"),
        ("predict --checkpoint a", "needs IMAGE_OR_FOLDER"),
        ("export --checkpoint /no/run --out c", "/no/run"),
    ],
)
def test_bad_input_is_one_line_and_status_2(capsys, tmp_path, monkeypatch, line, words):
    monkeypatch.chdir(tmp_path)
    assert words in refused(capsys, *line.split())
    assert list(tmp_path.iterdir()) == []  # nothing was begun


def test_train_writes_prints_and_says_when_it_is_finished(run, capsys):
    assert {"best.keras", "config.json", "curves.png", "history.csv"} <= {path.name for path in run.iterdir()}
    assert cli.main([*TRAIN, "--out", str(run)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "batch_size │ 32" in shown and "recipe │ lenet" in shown and "64 training" in shown
    assert "finished already" in shown and "validation accuracy" in shown
    assert "learning_rate was 0.01, now 0.5" in refused(capsys, *TRAIN, "--learning-rate=0.5", "--out", str(run))


def test_train_with_a_teacher(run, tmp_path, capsys):
    line = "train --model resnet20 --data digits --limit 64 --distill hard --dry-run".split()
    assert cli.main([*line, "--teacher", str(run), "--out", str(tmp_path / "student")]) == 0
    shown = capsys.readouterr().out
    assert "teacher" in shown and "10 classes" in shown and not (tmp_path / "student").exists()


def test_evaluate(run, tmp_path, capsys):
    assert cli.main(["evaluate", "--checkpoint", str(run), "--out", str(tmp_path), "--limit", "50"]) == 0
    record = json.loads((tmp_path / "evaluation.json").read_text())
    assert f"{record['top1']:.2%}" in capsys.readouterr().out
    assert record["examples"] == 50 and sum(map(sum, record["confusion"])) == 50 and record["changes"] == []
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
    error = refused(capsys, "evaluate", "--checkpoint", str(run), "--data", "synthetic:8x8x1,classes=3")
    assert "must have the classes of the checkpoint" in error


def test_evaluate_says_and_records_that_the_data_set_has_changed(run, tmp_path, capsys):
    config = json.loads((run / "config.json").read_text())
    config["data"]["sizes"]["test"] += 1
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "best.keras").write_bytes((run / "best.keras").read_bytes())
    limit = str(config["training"]["limit"])
    assert cli.main(["evaluate", "--checkpoint", str(tmp_path), "--limit", limit]) == 0
    (change,) = json.loads((tmp_path / "evaluation.json").read_text())["changes"]
    assert change.startswith("test had 65 examples") and change in capsys.readouterr().out


def test_predict_and_export(run, tmp_path, capsys):
    image, _ = next(iter(data.load("digits").dataset("test")))
    (tmp_path / "images").mkdir()
    tf.io.write_file(str(tmp_path / "images" / "digit.png"), tf.io.encode_png(image))
    assert cli.main(["export", "--checkpoint", str(run), "--out", str(tmp_path / "exported")]) == 0
    assert f"{tmp_path}/exported/1" in capsys.readouterr().out
    found = []
    for source in (["--checkpoint", str(run)], ["--saved-model", str(tmp_path / "exported")]):
        assert cli.main(["predict", *source, str(tmp_path / "images"), "--json", "--top", "3"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    (one,), (two,) = found
    assert one["classes"] == two["classes"] and len(one["classes"]) == 3
    assert one["probabilities"] == pytest.approx(two["probabilities"], abs=1e-5)
    assert cli.main(["predict", "--checkpoint", str(run), str(tmp_path / "images" / "digit.png")]) == 0
    assert one["classes"][0] in capsys.readouterr().out
    error = refused(capsys, "predict", "--checkpoint", str(run), str(tmp_path / "images"), "--out", str(tmp_path))
    assert "only of one. Received: " in error
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    assert "bad.png" in refused(capsys, "predict", "--checkpoint", str(run), str(tmp_path / "bad.png"))


@pytest.mark.after
def test_segmentation_from_training_to_prediction(tmp_path, capsys):
    """The cheapest network on 16 images of 32x32: every command knows the task."""
    out, images = tmp_path / "run", tmp_path / "images"
    line = "train --task segmentation --model fcn32s_vgg11_bn_small --data shapes:32x32x3,classes=3,examples=16,test=4"
    assert cli.main([*line.split(), "--epochs=1", "--batch-size=8", "--out", str(out)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "recipe │ segmentation" in shown and "input │ 32 x 32 x 3" in shown and "validation mean IoU" in shown
    assert "augment must be" in refused(capsys, *line.split(), "--augment=alexnet", "--out", str(tmp_path / "a"))
    assert cli.main(["evaluate", "--checkpoint", str(out)]) == 0
    record = json.loads((out / "evaluation.json").read_text())
    shown = capsys.readouterr().out
    assert f"{record['mean_iou']:.2%}" in shown and "ellipse" in shown and record["examples"] == 4
    assert (out / "confusion.png").read_bytes().startswith(b"\x89PNG")
    image, _ = next(iter(data.load("shapes:40x24x3,classes=3,examples=1").dataset("test")))
    tf.io.write_file(str(images / "shape.png"), tf.io.encode_png(image))
    assert cli.main(["export", "--checkpoint", str(out), "--out", str(tmp_path / "exported")]) == 0
    capsys.readouterr()
    found = []
    for source in (["--checkpoint", str(out)], ["--saved-model", str(tmp_path / "exported")]):
        folder = tmp_path / source[0].strip("-")
        assert cli.main(["predict", *source, str(images), "--json", "--out", str(folder)]) == 0
        (answer,) = json.loads(capsys.readouterr().out)
        found.append(answer["shares"])
        assert tf.io.decode_png((folder / "shape_mask.png").read_bytes()).shape == (40, 24, 1)
    assert sum(found[0]) == pytest.approx(1) and found[0] == pytest.approx(found[1], abs=0.01)
    error = refused(capsys, "predict", "--checkpoint", str(out), str(images))
    assert "--out is the folder for the masks" in error


def test_a_truncated_checkpoint(run, tmp_path, capsys):
    (tmp_path / "config.json").write_bytes((run / "config.json").read_bytes())
    (tmp_path / "best.keras").write_bytes((run / "best.keras").read_bytes()[:-500])
    assert "truncated" in refused(capsys, "evaluate", "--checkpoint", str(tmp_path))


def test_another_initializer_is_used_and_recorded(tmp_path, capsys):
    assert cli.main([*TRAIN, "--initializer", "gaussian", "--out", str(tmp_path / "run")]) == 0
    assert "initializer │ gaussian" in " ".join(capsys.readouterr().out.split())
    assert json.loads((tmp_path / "run/config.json").read_text())["model"]["initializer"] == "gaussian"


def test_initializers_are_those_of_weights():
    from kerascnn import weights

    assert set(INITIALIZERS) == set(weights.SCHEMES)


def test_full_and_read_only_folders(tmp_path, capsys, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(keras.Model, "save", full)
    assert "No space left on device" in refused(capsys, *TRAIN, "--out", str(tmp_path / "full"))
    monkeypatch.undo()
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked").chmod(0o500)
    if os.geteuid():  # root may write anywhere, except to /proc
        assert "cannot be written" in refused(capsys, *TRAIN, "--out", str(tmp_path / "locked"))
    assert "cannot be written" in refused(capsys, *TRAIN, "--out", "/proc/run")


def test_list(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["list", "lenet*"]) == 0
    assert capsys.readouterr().out.split() == ["lenet5", "lenet5_1998"]
    assert cli.main(["list", "lenet*", "--table", "--family=lenet"]) == 0
    shown = capsys.readouterr().out
    row = " ".join(next(line for line in shown.splitlines() if "lenet5_1998" in line).split())
    assert row.startswith("│ lenet5_1998 * │ lenet │ 60k │ 326k │ 32x32x1 │ 32 │ MNIST")
    assert "filled in" in shown and "Haffner" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert cli.main(["list", "lenet*", "--wide"]) == 0
    shown = capsys.readouterr().out
    assert any("lenet5_1998 *" in line and "Haffner, 1998" in line for line in shown.splitlines())


def test_info(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main(["info", "lenet5_1998"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for words in ("Haffner", "MNIST 0.95 %", "60,000", "325,680", "16,188", "32 pixels",
                  "reconstructed │ yes", "14x14x6, 5x5x16, 1x1x120", "padded with zeros to 32 x 32",
                  "less the mean 0.07843"):  # fmt: skip
        assert words in shown, words
    assert cli.main(["info", "resnet50"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "shorter side resized to 256 (bilinear), center 224 x 224" in shown and "1512.03385" in shown


def test_info_draws_the_stages_and_lists_the_layers(capsys, tmp_path):
    out = tmp_path / "new" / "lenet.PNG"
    assert cli.main(["info", "lenet5", "--layers", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "│ c3 " in shown and "240,000" in shown and f"written: {out}" in shown
    assert out.read_bytes().startswith(b"\x89PNG")
    assert "ends in .png" in refused(capsys, "info", "lenet5", "--out", "lenet.pdf")
    assert "file is in the way" in refused(capsys, "info", "lenet5", "--out", "/dev/null/lenet.png")


def test_interrupted(monkeypatch, capsys):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("kerascnn.cli.main"), "_dispatch", interrupt)
    assert cli.main(["list"]) == 130
    assert capsys.readouterr().err == "kerascnn: interrupted\n"


def test_a_bug_is_not_dressed_up(monkeypatch):
    def bug(*arguments):
        raise RuntimeError("not the user's fault")

    monkeypatch.setattr(importlib.import_module("kerascnn.cli.main"), "_dispatch", bug)
    with pytest.raises(RuntimeError):
        cli.main(["list"])


def test_as_a_process():
    """Status and silence as the shell sees them: TensorFlow is loaded for the second, and says nothing."""
    for line, words in (("train --modle x", "did you mean --model"), ("info resnet_20", "resnet20")):
        done = subprocess.run([sys.executable, "-m", "kerascnn", *line.split()], capture_output=True, text=True)
        assert done.returncode == 2 and done.stdout == ""
        assert words in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_a_reader_that_goes_away():
    command = f"{sys.executable} -m kerascnn list | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stderr == "" and done.stdout.count("\n") == 1


def test_start_from_another_run(run, tmp_path, capsys):
    assert cli.main([*TRAIN, "--out", str(tmp_path / "b"), "--start-from", str(run), "--start-layers", "all"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"started from {run}: " in said and "drawn: nothing" in said
    kept = json.loads((tmp_path / "b" / "config.json").read_text())["model"]["start"]
    assert kept == {"from": f".../{run.name}", "layers": "all"}  # no path of this machine
    base = [*TRAIN, "--out", str(tmp_path / "c")]
    assert "NETWORK:WEIGHTS" in refused(capsys, *base, "--start-from", str(tmp_path / "missing"))
    assert "--start_from" in refused(capsys, *base, "--start-layers", "shallow")
    assert "in part" in refused(capsys, *base, "--start-from", str(run), "--weights", "imagenet")
    assert "must be at most" in refused(capsys, *base, "--start-from", str(run), "--start-layers", "shallow")
    assert not (tmp_path / "c").exists()
