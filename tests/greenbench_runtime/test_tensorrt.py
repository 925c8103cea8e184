"""TensorRT's provider as it is asked for, by a stand-in of ONNX Runtime: its libraries are nowhere in CI."""

import importlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import pytest

from greenbench.bench.parity import fallback_doubt, numeric_mode_doubt
from greenbench.core.doubt import Verdict
from greenbench.core.parity import Parity
from greenbench_runtime import networks
from greenbench_runtime.engine import (
    InvalidRequestError,
    LoadOrder,
    TensorSpec,
    UnavailableError,
    UnsupportedError,
)
from greenbench_runtime.folders import own_folder, remove_own_folder

TENSORRT, CUDA = "TensorrtExecutionProvider", "CUDAExecutionProvider"
STATES = (
    *("Fail", "InvalidArgument", "NoSuchFile", "NoModel", "EngineError", "RuntimeException"),
    *("InvalidProtobuf", "ModelLoaded", "NotImplemented", "InvalidGraph", "EPFail"),
)
OURS = ("onnx_providers", "onnx_session", "onnx_tensorrt")


class Session:
    """A session that came up on some of the providers that it was given."""

    asked: ClassVar[list] = []
    came_up: tuple[str, ...] = (TENSORRT, CUDA)

    def __init__(self, file, options, providers):
        for name, value in dict(providers).get(TENSORRT, {}).items():
            if name.endswith("_enable") and value not in {"True", "False"}:  # as the real one does
                raise ValueError(f"the value for the key {name!r} should be 'True' or 'False'")
        Session.asked = providers

    def disable_fallback(self):
        pass

    def get_providers(self):
        return [name for name, _ in self.asked if name in self.came_up] + ["CPUExecutionProvider"]

    def get_provider_options(self):
        reported = {"True": "1", "False": "0"}
        return {
            name: {key: reported.get(value, value) for key, value in options.items()}
            for name, options in self.asked
        }


@pytest.fixture
def version():
    """ONNX Runtime's that the stand-in is of."""
    return "1.31.1"


@pytest.fixture
def sessions(monkeypatch, version):
    """The engine's module of sessions over a stand-in of ONNX Runtime."""
    ort = ModuleType("onnxruntime")
    ort.__version__ = version
    ort.InferenceSession, ort.SessionOptions = Session, SimpleNamespace
    ort.OrtValue = ort.IOBinding = ort.NodeArg = object
    ort.ExecutionMode = SimpleNamespace(ORT_SEQUENTIAL=0)
    ort.GraphOptimizationLevel = SimpleNamespace(ORT_ENABLE_ALL=0)
    ort.get_available_providers = lambda: [TENSORRT, CUDA, "CPUExecutionProvider"]
    if version != "1.17.1":
        ort.preload_dlls = lambda: None
    capi = ModuleType("onnxruntime.capi")
    capi.onnxruntime_pybind11_state = SimpleNamespace(
        **{name: type(name, (Exception,), {}) for name in STATES}
    )
    for name in OURS:
        monkeypatch.delitem(sys.modules, f"{networks.__name__}.{name}", raising=False)
        monkeypatch.delattr(networks, name, raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", ort)
    monkeypatch.setitem(sys.modules, "onnxruntime.capi", capi)
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    onnx_session = importlib.import_module(f"{networks.__name__}.onnx_session")
    onnx_providers = importlib.import_module(f"{networks.__name__}.onnx_providers")
    monkeypatch.setattr(onnx_providers, "ordinal_of", lambda _: 1)
    monkeypatch.setattr(onnx_session, "_session_options", lambda _: None)
    monkeypatch.setattr(Session, "came_up", (TENSORRT, CUDA))
    yield SimpleNamespace(open=onnx_session.open_session, providers=onnx_providers, module=onnx_session)
    for name in OURS:
        sys.modules.pop(f"{networks.__name__}.{name}", None)
        vars(networks).pop(name, None)
    os.environ.pop("NVIDIA_TF32_OVERRIDE", None)


@pytest.fixture
def model(tmp_path):
    file = tmp_path / "m.onnx"
    file.write_bytes(b"x")
    return file


def order(precision="fp32"):
    return LoadOrder(
        model="resnet50", batch_size=1, precision=precision, mode="tensorrt", device="cuda", device_uuid="G"
    )


@pytest.mark.parametrize("precision", ["fp32", "tf32", "fp16", "bf16"])
def test_every_numeric_switch_is_set_and_the_mode_in_force_is_the_one_asked_for(sessions, model, precision):
    session = sessions.open(order(precision), model)
    (first, options), (second, behind) = session.asked
    assert (first, second) == (TENSORRT, CUDA)
    assert options["trt_fp16_enable"] == str(precision == "fp16")
    assert options["trt_bf16_enable"] == str(precision == "bf16")
    assert options["trt_cuda_graph_enable"] == "False"
    assert behind["enable_cuda_graph"] == "0"
    assert options["device_id"] == behind["device_id"] == "1"
    assert behind["use_tf32"] == str(int(precision == "tf32"))
    assert os.environ.get("NVIDIA_TF32_OVERRIDE") == (None if precision == "tf32" else "0")
    flags = sessions.providers.provider_flags(session, order(precision))
    error = {"fp32": 1e-6, "tf32": 1e-3, "fp16": 1e-3, "bf16": 1e-2}[precision]
    parity = Parity(relative_error=error, cosine=1.0, top1_agreement=1.0, rows=8, limit=1.0, passed=True)
    dtypes = sessions.providers.weights_dtype(order(precision))
    assert numeric_mode_doubt(parity, precision=precision, device="cuda", flags=flags, dtypes=dtypes) is None


def test_the_engine_cache_is_this_processs_own_and_empty_at_first(sessions, model):
    (_, options), _ = sessions.open(order(), model).asked
    assert options["trt_engine_cache_enable"] == "True"
    assert list(Path(options["trt_engine_cache_path"]).iterdir()) == []
    (_, again), _ = sessions.open(order(), model).asked
    assert again["trt_engine_cache_path"] == options["trt_engine_cache_path"]


older = pytest.mark.parametrize("version", ["1.17.1"])


@older
@pytest.mark.parametrize("precision", ["fp32", "tf32", "fp16"])
def test_an_older_one_is_asked_for_what_it_knows_alone(sessions, model, precision):
    (_, options), (_, behind) = sessions.open(order(precision), model).asked
    assert options["trt_fp16_enable"] == str(precision == "fp16")
    assert "trt_bf16_enable" not in options
    assert "use_tf32" not in behind
    assert os.environ.get("NVIDIA_TF32_OVERRIDE") == (None if precision == "tf32" else "0")


@older
def test_what_an_older_one_can_not_be_asked_for_is_refused(sessions):
    with pytest.raises(UnsupportedError, match=r"bf16 in mode tensorrt needs onnxruntime 1\.23 .* 1\.17\.1"):
        sessions.providers.check_provider(order("bf16"))
    with pytest.raises(UnavailableError, match=r"mode cuda needs onnxruntime 1\.18 .* TF32 had no switch"):
        sessions.providers.check_provider(replace(order(), mode="cuda"))
    sessions.providers.check_provider(order("fp16"))


@older
def test_a_first_pass_that_fails_is_one_line(sessions):
    class Failing:
        def run(self, outputs, inputs):
            raise sessions.module.states.RuntimeException("a Reshape of {1,1,1,1} failed\nand more")

    inputs = [TensorSpec(name="input", datatype="FP32", shape=(1, 3))]
    with pytest.raises(InvalidRequestError, match=r"^a first pass: a Reshape of .* failed; convert it again"):
        sessions.module.nodes_per_provider(Failing(), inputs)


@older
def test_the_libraries_of_an_older_wheel_are_loaded_too(sessions, model, monkeypatch, tmp_path):
    (tmp_path / "tensorrt.py").write_text("loaded = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    sessions.open(order(), model)
    assert sys.modules.pop("tensorrt").loaded


def test_tf32_is_decided_once_a_process(sessions, model):
    sessions.open(order("fp32"), model)
    with pytest.raises(UnsupportedError, match="TF32 was decided by the first session"):
        sessions.open(order("tf32"), model)
    sessions.open(order("fp16"), model)


def test_what_it_keeps_for_itself_goes_as_the_runtime_ends(sessions, model):
    (_, options), _ = sessions.open(order(), model).asked
    folder = Path(options["trt_engine_cache_path"])
    (folder / "engine").write_bytes(b"x")
    remove_own_folder()
    assert not folder.exists()
    own_folder.cache_clear()
    remove_own_folder()  # none is made for it
    assert not own_folder.cache_info().currsize


def test_without_its_libraries_it_says_which_and_nothing_computes_in_its_place(sessions, model, monkeypatch):
    monkeypatch.setattr(Session, "came_up", (CUDA,))
    with pytest.raises(UnavailableError) as caught:
        sessions.open(order(), model)
    assert "could not start TensorrtExecutionProvider" in str(caught.value)
    assert "libnvinfer" in str(caught.value)


def test_nodes_that_it_leaves_to_cuda_are_nodes_elsewhere():
    doubt = fallback_doubt({TENSORRT: 100, CUDA: 30}, wanted="tensorrt")
    assert doubt is not None
    assert doubt.verdict is Verdict.INVALID
    assert fallback_doubt({TENSORRT: 130}, wanted="tensorrt") is None
