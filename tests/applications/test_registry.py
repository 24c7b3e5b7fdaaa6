"""The registry: rows, names, errors, laziness."""

import dataclasses
import subprocess
import sys

import keras
import pytest

import kerascnn
from kerascnn import applications
from kerascnn._errors import InputError
from kerascnn.applications import _registry


def test_names_are_sorted_and_filtered():
    names = kerascnn.list_models()
    assert names == sorted(names)
    assert {"resnet18", "resnet50_v1", "resnetv2_50", "resnet20", "resnext50_32x4d"} <= set(names)
    assert kerascnn.list_models("ResNeXt*") == [
        "resnext101_32x4d",
        "resnext101_32x8d",
        "resnext101_64x4d",
        "resnext152_32x4d",
        "resnext29_16x64d",
        "resnext29_8x2d_thin",
        "resnext29_8x4d_thin",
        "resnext29_8x64d",
        "resnext50_32x4d",
    ]
    assert kerascnn.list_models(family="resnext_cifar") == [
        "resnext29_16x64d",
        "resnext29_8x2d_thin",
        "resnext29_8x4d_thin",
        "resnext29_8x64d",
    ]
    assert kerascnn.list_models("no_such_*") == []


def test_pretrained_splits_the_list():
    with_weights, without = kerascnn.list_models(pretrained=True), kerascnn.list_models(pretrained=False)
    assert sorted(with_weights + without) == kerascnn.list_models()
    assert all(kerascnn.model_info(name).weights for name in with_weights)
    assert "resnet50" in with_weights and "lenet5_1998" in without


@pytest.mark.parametrize("call", [kerascnn.create_model, kerascnn.model_info])
def test_unknown_name_is_refused_with_the_nearest(call):
    with pytest.raises(InputError, match=r"nearest: .*resnext50_32x4d.*Received: 'resnext50_32x4'"):
        call("resnext50_32x4")
    with pytest.raises(InputError, match=r"list_models\(\).*Received: 'qqqq'"):
        call("qqqq")
    with pytest.raises(InputError, match="Received: 50"):
        call(50)


def test_unknown_family_is_refused():
    with pytest.raises(InputError, match="family must be one of .*resnet.*Received: 'resnets'"):
        kerascnn.list_models(family="resnets")


def test_a_name_is_registered_once():
    info = kerascnn.model_info("resnet18")
    assert info.spec  # imports the family, which registers it
    for clash in (info, dataclasses.replace(info, name="new"), dataclasses.replace(info, builder="New")):
        with pytest.raises(InputError, match=r"once: resnet18 \(ResNet18\) exists"):
            _registry.register(clash, lambda: None)
    assert "new" not in kerascnn.list_models()


def test_info_of_a_network():
    info = kerascnn.model_info("resnet50")
    assert (info.name, info.builder, info.family, info.recipe) == ("resnet50", "ResNet50", "resnet", "resnet")
    assert (info.input_shape, info.classes) == ((224, 224, 3), 1000)
    assert "arXiv:1512.03385" in info.paper
    assert info.spec.depths == (3, 4, 6, 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        info.name = "other"


def test_every_row_has_its_builder():
    for name in kerascnn.list_models():
        info = kerascnn.model_info(name)
        builder = getattr(applications, info.builder)
        assert builder.__name__ == info.builder
        assert builder.__module__ == f"kerascnn.applications.{info.family}"
        assert getattr(sys.modules[builder.__module__], info.builder) is builder, "the variable has another name"
        assert info.builder in dir(applications)


def test_create_model_passes_options_on():
    model = kerascnn.create_model("resnet20", classes=7, input_shape=(16, 16, 1), name="small")
    assert isinstance(model, keras.Model)
    assert (model.name, model.input_shape, model.output_shape) == ("small", (None, 16, 16, 1), (None, 7))


@pytest.mark.parametrize("option", [{"classes": 10}, {"pooling": "avg"}])
def test_features_have_no_head(option):
    with pytest.raises(InputError, match="features_only=True has no head"):
        kerascnn.create_model("resnet20", features_only=True, **option)


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="NoSuchNet"):
        applications.NoSuchNet  # noqa: B018
    with pytest.raises(AttributeError, match="no_such_family"):
        applications.no_such_family  # noqa: B018


@pytest.mark.parametrize(
    "code",
    [
        "import kerascnn.applications",
        "kerascnn.list_models('*resnext*', family='resnext')",
        "kerascnn.model_info('resnext50_32x4d').preprocessing",
        "dir(kerascnn.applications)",
        "from kerascnn import list_models, model_info; model_info('vgg16').params",
    ],
)
def test_what_is_known_without_building_needs_no_tensorflow(code):
    code = f"import sys, kerascnn; {code}; print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]


def test_the_spec_is_read_at_its_first_use():
    info = dataclasses.replace(kerascnn.model_info("resnet50"), name="other")
    assert info.spec == kerascnn.model_info("resnet50").spec
    assert kerascnn.model_info("resnet50") == kerascnn.model_info("resnet50")


@pytest.mark.parametrize("arguments", [{"pattern": 3}, {"pattern": None}, {"pretrained": "yes"}, {"pretrained": 1}])
def test_bad_filters_are_refused(arguments):
    with pytest.raises(InputError, match=f"{next(iter(arguments))} must be"):
        kerascnn.list_models(**arguments)


def test_importing_draws_no_random_number():
    """Else the first network of a process has other weights than the second, with the same seed."""
    code = """
import importlib, pkgutil, random
import keras, numpy
import kerascnn

def state():
    return random.getstate(), numpy.random.get_state()[1].tolist(), keras.config.dtype_policy().name

keras.utils.set_random_seed(1)
before = state()
for module in pkgutil.walk_packages(kerascnn.__path__, "kerascnn."):
    last = module.name.rpartition(".")[2]
    if last not in ("__main__", "_ops", "_kernels", "_cuda_on_cpu"):
        importlib.import_module(module.name)
        assert state() == before, module.name
print("unchanged")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "unchanged", result.stderr[-500:]


def test_the_first_network_of_a_process_has_the_weights_of_the_second_and_imports_its_family_alone():
    code = """
import sys, keras, kerascnn, numpy

def weights():
    keras.utils.set_random_seed(1)
    return kerascnn.create_model("resnet20", input_shape=(8, 8, 3)).get_weights()

print(all(numpy.array_equal(a, b) for a, b in zip(weights(), weights(), strict=True)))
print([name for name in sys.modules if name.startswith("kerascnn.applications.") and "._" not in name])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.split() == ["True", "['kerascnn.applications.resnet_cifar']"], result.stderr[-500:]
