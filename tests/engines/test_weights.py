import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.runtime, pytest.mark.timeout(600)]


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (Path(self.marker),))


def test_the_same_seed_gives_the_same_bytes(tmp_path, drive, golden, seeded):
    def made(seed, threads):
        outbox = tmp_path / f"{seed}-{threads}"
        outbox.mkdir()
        found = drive(
            "pytorch", "prepare", model="mobilenet_v2", seed=seed, threads=threads,
            calibration=golden("mobilenet_v2"), outbox=outbox,
        )  # fmt: skip
        return sha256(found["path"])

    assert sha256(seeded("mobilenet_v2")["path"]) == made(7, 1)
    assert made(8, 2) != made(7, 2)


@pytest.mark.parametrize(("model", "naming"), [("mobilenet_v2", "timm"), ("bert_base", "hub_bert")])
def test_published_names_become_canonical(model, naming, tmp_path, drive, golden, seeded):
    published = tmp_path / "model.safetensors"
    drive("pytorch", "rename", weights_file=seeded(model)["path"], to=published, **{"as": naming})
    assert sha256(published) != sha256(seeded(model)["path"])
    made = drive(
        "pytorch", "prepare", model=model, weights_file=published, calibration=golden(model), outbox=tmp_path
    )
    assert sha256(made["path"]) == sha256(seeded(model)["path"])


@pytest.mark.parametrize(
    ("change", "said"),
    [("missing", "lacks the tensor fc.weight"), ("misshapen", "[999, 2048]; the network needs [1000, 2048]")],
)
def test_a_tensor_that_does_not_fit_is_named(change, said, tmp_path, drive, golden, seeded):
    broken = tmp_path / "broken.safetensors"
    drive(
        "pytorch",
        "rename",
        weights_file=seeded("resnet50")["path"],
        to=broken,
        tensor="fc.weight",
        **{"as": change},
    )
    answer = drive(
        "pytorch",
        "prepare",
        model="resnet50",
        weights_file=broken,
        calibration=golden("resnet50"),
        outbox=tmp_path,
    )
    assert answer["error"] == "InvalidRequestError"
    assert said in answer["text"]
    assert "fc.weight" in answer["text"]
    assert "broken.safetensors" in answer["text"]


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".pth"])
def test_a_pickle_with_code_is_refused_unrun(suffix, tmp_path, drive, golden):
    hostile, marker = tmp_path / f"hostile{suffix}", tmp_path / "was-run"
    hostile.write_bytes(pickle.dumps({"fc.weight": Evil(str(marker))}))
    answer = drive(
        "pytorch",
        "prepare",
        model="resnet50",
        weights_file=hostile,
        calibration=golden("resnet50"),
        outbox=tmp_path,
    )
    assert answer["error"] == "InvalidRequestError"
    assert f"hostile{suffix}" in answer["text"]
    assert "\n" not in answer["text"]
    assert not marker.exists()


def test_a_damaged_safetensors_file_is_one_line(tmp_path, drive, golden):
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"\xff" * 64)
    answer = drive(
        "pytorch",
        "prepare",
        model="resnet50",
        weights_file=damaged,
        calibration=golden("resnet50"),
        outbox=tmp_path,
    )
    assert answer["error"] == "InvalidRequestError"
    assert "damaged.safetensors" in answer["text"]
    assert "\n" not in answer["text"]


def test_inputs_that_can_not_be_told_apart_are_refused(tmp_path, drive, golden):
    one = np.load(golden("resnet50"))["input"][:1]
    np.savez(tmp_path / "same.npz", input=np.concatenate([one, one]))
    answer = drive(
        "pytorch", "prepare", model="resnet50", seed=7, calibration=tmp_path / "same.npz", outbox=tmp_path
    )
    assert answer["error"] == "InvalidRequestError"
    assert "tell samples apart" in answer["text"]


def test_exporting_an_opset_that_is_not_there_is_refused(tmp_path, drive, seeded):
    answer = drive(
        "pytorch", "convert", model="mobilenet_v2", weights_file=seeded("mobilenet_v2")["path"], opset=99,
        sequence_length=0, outbox=tmp_path,
    )  # fmt: skip
    assert answer["error"] == "InvalidRequestError"
    assert "99" in answer["text"]


def test_what_the_engines_say_of_themselves(drive):
    for runtime in ("pytorch", "onnxruntime"):
        found = drive(runtime, "facts")
        assert runtime in found["versions"]
        assert found["models"] == ["resnet50", "mobilenet_v2", "bert_base"]
        assert found["modes"]
