"""What things are called in sentences, as their makers write them."""

from greenbench.core.trial import Trial

_RUNTIMES = {
    "pytorch": "PyTorch",
    "tensorflow": "TensorFlow",
    "mxnet": "MXNet",
    "jax": "JAX",
    "onnxruntime": "ONNX Runtime",
}
_PROVIDERS = {"cpu": "CPU", "cuda": "CUDA", "tensorrt": "TensorRT", "openvino": "OpenVINO"}
_MODELS = {"resnet50": "ResNet-50", "mobilenet_v2": "MobileNetV2", "bert_base": "BERT"}


def runtime_name(runtime: str) -> str:
    """Return a runtime's name; one that is not known here keeps its own."""
    return _RUNTIMES.get(runtime, runtime)


def provider_name(mode: str) -> str:
    """Return an execution provider's name."""
    return _PROVIDERS.get(mode, mode)


def model_name(model: str) -> str:
    """Return a model's name."""
    return _MODELS.get(model, model)


def cell_name(trial: Trial) -> str:
    """Return what a sentence calls a trial's cell beside others of its setting."""
    if trial.source is None:
        return runtime_name(trial.runtime)
    return f"{runtime_name(trial.runtime)} {provider_name(trial.mode)} from {runtime_name(trial.source)}"
