import numpy as np
import pytest
import tensorflow as tf

from kerascnn.serving import warmup
from kerascnn.serving.server.loading import Servable
from kerascnn.serving.server.signatures import Tensor, for_verb
from kerascnn.serving.server.status import Refusal


@pytest.fixture(scope="module")
def tiny(tiny_versions):
    return Servable(tiny_versions[0])


def objects(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


def test_signatures_are_read(tiny):
    assert set(tiny.signatures) == {
        "serving_default", "scalar", "pairs", "types", "pixels", "classify", "regress", "waits"
    }  # fmt: skip
    types = tiny.signatures["types"]
    assert types.dtypes == {"d": "double", "i": "int32", "l": "int64", "u": "uint8", "b": "bool", "s": "string"}
    assert types.batches and not tiny.signatures["scalar"].batches
    assert tiny.signatures["pairs"].inputs == {"x": Tensor("float", (None, 2))}
    assert for_verb(tiny.signatures, "", "predict").name == "serving_default"


def test_every_type_goes_in_and_out(tiny):
    arrays = {
        "d": np.float64([1 / 3, np.nan]),
        "i": np.int32([-1, 2**31 - 1]),
        "l": np.int64([2**63 - 1, -(2**63)]),
        "u": np.uint8([0, 255]),
        "b": np.array([True, False]),
        "s": objects(b"\0\xff", b""),
    }
    got = tiny.run("types", arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(got[name], array)
        assert got[name].dtype == array.dtype
    assert list(tiny.run("types", arrays, ["s_bytes"])) == ["s_bytes"]


@pytest.mark.parametrize(
    "signature, arrays, message",
    [
        ("serving_default", {"x": np.zeros([2, 2], np.float32)}, r"shape \[\?\]. Received: \[2,2\]"),
        ("serving_default", {"x": np.zeros([2])}, "Expects input x to be float but double is provided"),
        ("serving_default", {"z": np.float32([1])}, r"Sent extra: \{z\}. Missing but required: \{x\}."),
        ("serving_default", {}, r"0!=1 len\(\{\}\) != len\(\{x\}\)"),
        ("pixels", {"image_bytes": objects(b"no image")}, "Unknown image file format"),
        ("classify", {"inputs": objects(b"\xff")}, "(?i)pars"),
    ],
)
def test_what_a_graph_cannot_take_is_refused(tiny, signature, arrays, message):
    with pytest.raises(Refusal, match=message) as caught:
        tiny.run(signature, arrays)
    assert caught.value.code == "INVALID_ARGUMENT"
    assert "\n" not in str(caught.value) and "{{node" not in str(caught.value)


@pytest.mark.parametrize(
    "damage, code, message",
    [
        (lambda folder: (folder / "saved_model.pb").unlink(), "NOT_FOUND", "Could not find SavedModel .pb"),
        (lambda folder: (folder / "saved_model.pb").write_bytes(b"\xff" * 9), "DATA_LOSS", "must be whole"),
        (lambda folder: (folder / "saved_model.pb").write_bytes(b""), "NOT_FOUND", "matching supplied tags"),
        (lambda folder: (folder / "variables" / "variables.index").write_bytes(b"no"), None, "."),
        (lambda folder: (folder / "variables" / "variables.data-00000-of-00001").unlink(), None, "."),
    ],
)
def test_a_damaged_version_is_refused(tiny_folder, damage, code, message):
    folder = tiny_folder[0] / "1"
    damage(folder)
    with pytest.raises(Refusal, match=message) as caught:
        servable = Servable(folder)
        servable.run("serving_default", {"x": np.float32([1])})
    assert code in (None, caught.value.code) and caught.value.code != "OK"


def test_warm_up(tiny_folder):
    folder = tiny_folder[0] / "1"
    assert Servable(folder).warm_up() == 0
    sound = warmup.Request("serving_default", {"x": np.float32([1])}, {})
    warmup.write_requests(folder, [sound, warmup.Request("", {"x": np.float32([1, 2])}, {})], "m")
    assert Servable(folder).warm_up() == 2
    for request, message in (
        (warmup.Request("none", {"x": np.float32([1])}, {}), "must be for signatures of the model"),
        (warmup.Request("serving_default", {"x": np.float64([1])}, {}), "to be float but double"),
    ):
        warmup.write_requests(folder, [request], "m")
        with pytest.raises(Refusal, match=message):
            Servable(folder).warm_up()
    (folder / warmup.FILE).write_bytes(b"torn record" * 9)
    with pytest.raises(Refusal, match="must have whole warm-up requests"):
        Servable(folder).warm_up()


def test_an_export_of_ours_loads_and_warms_up(exported, loaded):
    servable = Servable(exported[1])
    assert servable.warm_up() == len(warmup.read_requests(exported[1])) >= 3
    image = tf.io.encode_png(tf.zeros([9, 9, 3], tf.uint8)).numpy()
    got = servable.run("serving_default", {"image_bytes": objects(image, image)})
    names, values = loaded.classify([image, image])
    np.testing.assert_array_equal(got["classes"], names)
    np.testing.assert_array_equal(got["probabilities"], values)
    servable.close()


@pytest.mark.parametrize(
    "name, verb, rest, code, message",
    [
        ("none", "predict", True, "INVALID_ARGUMENT", 'Serving signature name: "none" not found in signature def'),
        ("none", "predict", False, "FAILED_PRECONDITION", 'Serving signature key "none" not found.'),
        ("none", "regress", True, "INVALID_ARGUMENT", "No signature was found with the name: none"),
        ("", "regress", True, "INVALID_ARGUMENT", "Expected regression signature method_name to be tensorflow/serving"
         "/regress. Was: tensorflow/serving/predict"),
        ("regress", "classify", True, "INVALID_ARGUMENT", "Expected classification signature method_name to be "
         "tensorflow/serving/classify. Was: tensorflow/serving/regress"),
    ],
)  # fmt: skip
def test_signatures_that_are_not_there(tiny, name, verb, rest, code, message):
    with pytest.raises(Refusal) as caught:
        for_verb(tiny.signatures, name, verb, rest)
    assert (caught.value.code, str(caught.value)) == (code, message)


def test_an_output_filter(tiny):
    signature = tiny.signatures["pairs"]
    assert signature.chosen([]) == ["pair", "sum"] and signature.chosen(["sum"]) == ["sum"]
    with pytest.raises(Refusal, match=r"not found in signature: z Outputs expected to be in the set \{pair,sum\}"):
        signature.chosen(["z"])
    with pytest.raises(Refusal, match="duplicate output tensor alias: sum"):
        signature.chosen(["sum", "sum"])
