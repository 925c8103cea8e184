"""The catalogue, the engines, the requirements and both compose files name the same runtimes."""

from pathlib import Path

import pytest
import yaml

from greenbench.core.errors import ConfigurationError
from greenbench.fleet.assets import assets_root
from greenbench.fleet.catalog import device_build, read_catalog, select
from greenbench.fleet.launcher import DEFAULT_BASE_IMAGE
from greenbench_runtime.networks import zoo_names

ROOT = assets_root()
CATALOG = read_catalog(ROOT / "runtimes" / "catalog.toml")
BUILDS = {
    build.name: build
    for spec in CATALOG.values()
    for build in (spec, *spec.builds)
    if not any(device.brought for device in build.devices.values())
}
"""Those that greenbench makes; an environment that is only adopted has no image."""

CASES = [(name, device) for name, build in BUILDS.items() for device in build.devices]
COMPOSE = {
    "cpu": yaml.safe_load((ROOT / "compose.yml").read_text()),
    "cuda": yaml.safe_load((ROOT / "compose.gpu.yml").read_text()),
}


def test_both_compose_files_have_a_service_per_build():
    for device, file in COMPOSE.items():
        assert set(file["services"]) == {name for name, build in BUILDS.items() if device in build.devices}


@pytest.mark.parametrize(("name", "device"), CASES)
def test_a_service_builds_what_the_catalogue_says(name, device):
    service = COMPOSE[device]["services"][name]
    assert service["build"]["args"]["REQUIREMENTS"] == BUILDS[name].devices[device].requirements
    assert service["build"]["args"]["DEVICE"] == device
    assert service["image"] == f"greenbench/{name}:{device}"
    assert service["command"] == ["--engine", BUILDS[name].engine, "--device", device]
    assert service["labels"]["greenbench.device"] == device


@pytest.mark.parametrize("name", list(BUILDS))
def test_a_service_is_named_and_mounted_as_its_runtime(name):
    service = COMPOSE["cpu"]["services"][name]
    assert service["build"]["args"]["RUNTIME"] == name
    assert service["labels"]["greenbench.runtime"] == name
    assert service["volumes"][1]["source"].endswith(f"/run/{name}")


@pytest.mark.parametrize("name", list(BUILDS))
def test_every_service_is_sealed(name):
    service = COMPOSE["cpu"]["services"][name]
    assert service["network_mode"] == "none"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "ports" not in service
    assert "privileged" not in service


def test_engines_are_those_of_the_catalogue():
    folder = ROOT / "runtimes" / "greenbench_runtime" / "engines"
    engines = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert {spec.engine for spec in CATALOG.values()} == engines


def test_requirements_are_those_of_the_catalogue():
    named = {device.requirements for build in BUILDS.values() for device in build.devices.values()}
    assert named == {path.name for path in (ROOT / "docker" / "requirements").glob("*.lock")}


def test_only_the_default_base_image_is_written_into_the_files():
    assert f"ARG BASE_IMAGE={DEFAULT_BASE_IMAGE}\n" in (ROOT / "docker" / "Dockerfile").read_text()
    assert f"GREENBENCH_BASE_IMAGE:-{DEFAULT_BASE_IMAGE}}}" in (ROOT / "compose.yml").read_text()


def test_an_unknown_runtime_names_the_known():
    with pytest.raises(ConfigurationError, match=f"unknown runtime 'torch'; known are {', '.join(CATALOG)}"):
        select(CATALOG, ["torch"])
    assert select(CATALOG, []) == tuple(CATALOG.values())


def test_a_device_without_a_build_names_those_that_have_one():
    with pytest.raises(ConfigurationError, match="pytorch has no build for device 'tpu'; it has cpu, cuda"):
        device_build(CATALOG["pytorch"], "tpu")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[a]\nengine='a'\ntitle='A'\nprecisions=[]\nmodes={}\ndevices={}\ncolour='red'",
            r"a\.colour: Extra inputs",
        ),
        ("[a]\nengine='a'", r"a\.title: Field required"),
        (
            "[a]\nengine='a'\ntitle='A'\nprecisions=[]\nmodes={x=['tpu']}\ndevices={}",
            r"a\.modes\.x\.0: .*'cpu' or 'cuda'",
        ),
        ("[a", "cannot be read"),
    ],
)
def test_a_damaged_catalogue_names_the_key(tmp_path: Path, text, said):
    path = tmp_path / "catalog.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        read_catalog(path)


def test_native_networks_are_those_that_the_runtimes_build():
    tensorflow, mxnet = CATALOG["tensorflow"], CATALOG["mxnet"]
    assert tensorflow.native == zoo_names.KERAS_NETWORKS
    assert tensorflow.native_absent == zoo_names.KERAS_ABSENT
    assert mxnet.native == zoo_names.MXNET_NETWORKS
    assert mxnet.native_absent == zoo_names.MXNET_ABSENT


@pytest.mark.parametrize("name", ["pytorch", "tensorflow", "mxnet"])
def test_a_framework_has_each_native_network_or_says_why_not(name):
    spec = CATALOG[name]
    assert sorted([*spec.native, *spec.native_absent]) == ["bert_base", "mobilenet_v2", "resnet50"]


def test_a_mode_runs_in_the_build_that_names_it():
    spec = CATALOG["onnxruntime"]
    assert spec.build_for("cpu") is spec
    other = spec.build_for("openvino")
    assert (other.name, other.family, other.engine) == ("onnxruntime-openvino", "onnxruntime", "onnxruntime")
    assert spec.builds_on("cpu") == (spec, other)
    assert spec.builds_on("cuda") == (spec,)
    brought = spec.build_for("tensorrt")
    assert spec.builds_on("cuda", {brought.name}) == (spec, brought)
    assert spec.own_modes_on("cpu") == ("cpu",)
    assert other.own_modes_on("cpu") == ("openvino",)


def test_a_build_is_named_only_where_builds_can_be():
    openvino, name = CATALOG["onnxruntime"].build_for("openvino"), "onnxruntime-openvino"
    assert select(CATALOG, [name, "pytorch"], builds=True) == (openvino, CATALOG["pytorch"])
    assert select(CATALOG, [], builds=True) == tuple(CATALOG.values())
    with pytest.raises(ConfigurationError, match=r"unknown runtime 'onnx'; known are .*onnxruntime-tensorrt"):
        select(CATALOG, ["pytorch", "onnx"], builds=True)
    with pytest.raises(ConfigurationError, match=f"unknown runtime '{name}'"):
        select(CATALOG, [name])


def test_a_build_for_a_mode_that_is_not_there_is_refused(tmp_path):
    text = (ROOT / "runtimes" / "catalog.toml").read_text()
    file = tmp_path / "catalog.toml"
    file.write_text(text.replace('modes = ["openvino"]', 'modes = ["turbo"]'))
    with pytest.raises(ConfigurationError, match=r"builds\.openvino: 'turbo' is no mode of onnxruntime"):
        read_catalog(file)


def test_a_build_is_made_or_brought_and_never_both(tmp_path):
    text = (ROOT / "runtimes" / "catalog.toml").read_text()
    file = tmp_path / "catalog.toml"
    file.write_text(text.replace('brought = "', 'requirements = "a.lock"\nbrought = "'))
    with pytest.raises(ConfigurationError, match="'requirements' or 'brought' is needed, and not both"):
        read_catalog(file)
