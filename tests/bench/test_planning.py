from dataclasses import replace

import pytest

from greenbench.bench.planning import HostView, cuda_version, driver_runs, make_plan
from greenbench.bench.prepared import builds_of
from greenbench.core.architecture import covers
from greenbench.core.runtime import DeviceBuild, RuntimeSpec
from greenbench.core.shard import Shard
from greenbench.core.suite import parse_suite

ADA = ("sm_75", "sm_80", "sm_86")


def spec(name: str, **changes) -> RuntimeSpec:
    values = {
        "name": name,
        "engine": name,
        "title": name.title(),
        "modes": {"eager": ("cpu", "cuda"), "compile": ("cuda",)},
        "precisions": ("fp32", "tf32"),
        "devices": {
            "cpu": DeviceBuild(requirements="x"),
            "cuda": DeviceBuild(requirements="y", architectures=ADA, cuda=12),
        },
    }
    return RuntimeSpec(**values | changes)


CATALOGUE = {
    "pytorch": spec("pytorch", owns_reference=True, converts=True),
    "onnxruntime": spec("onnxruntime", modes={"cuda": ("cuda",), "cpu": ("cpu",)}, sources=("pytorch",)),
}
CPU = HostView(device="cpu", physical_cores=2)


def suite(**matrix):
    return parse_suite({"name": "t", "matrix": {"batch_size": [1], "model": ["resnet50"], **matrix}}, "test")


def plan(asked, host=CPU, catalogue=CATALOGUE, seed=0):
    return make_plan(asked, catalogue, host, seed=seed)


def test_the_default_mode_is_the_first_that_runs_on_the_device():
    assert {cell.mode for cell in plan(suite()).cells} == {"eager", "cpu"}
    gpu = HostView(device="cuda", architecture="sm_86", gpu_name="GPU", physical_cores=2)
    assert {cell.mode for cell in plan(suite(), gpu).cells} == {"eager", "cuda"}


def test_threads_zero_means_all_physical_cores():
    assert {cell.threads for cell in plan(suite()).cells} == {2}


def test_only_runtimes_that_run_conversions_have_a_source():
    sources = {cell.runtime: cell.source for cell in plan(suite()).cells}
    assert sources == {"pytorch": None, "onnxruntime": "pytorch"}


def test_a_runtime_that_is_not_in_the_catalogue_is_left_out_by_name():
    made = plan(suite(runtime=["pytorch", "mxnet"]))
    assert [item.cell for item in made.left_out] == ["mxnet"]
    assert "catalogue" in made.left_out[0].reason


@pytest.mark.parametrize(
    ("architecture", "covered"),
    [("sm_86", True), ("sm_89", True), ("sm_80", True), ("sm_90", False), ("sm_70", False)],
)
def test_machine_code_runs_within_its_major_version(architecture, covered):
    assert covers(ADA, architecture) is covered


@pytest.mark.parametrize(
    ("shipped", "gpu", "covered"),
    [
        (("compute_80",), "sm_90", True),
        (("compute_90",), "sm_86", False),
        (("sm_70", "compute_120"), "sm_120", True),
        (("sm_90a",), "sm_90", True),
        (("sm_100a",), "sm_103", False),
        ((), "sm_90", False),
    ],
)
def test_ptx_runs_on_newer_gpus_and_specific_code_on_its_own_alone(shipped, gpu, covered):
    assert covers(shipped, gpu) is covered


def test_a_gpu_without_kernels_is_named_and_never_run_on_the_cpu():
    hopper = HostView(device="cuda", architecture="sm_90", gpu_name="H100", physical_cores=2)
    made = plan(suite(), hopper)
    assert not made.loads
    assert {item.cell for item in made.left_out} == {"pytorch", "onnxruntime"}
    assert all("H100 is sm_90" in item.reason for item in made.left_out)


@pytest.mark.parametrize(
    ("cuda", "driver", "runs"),
    [(13, 13000, True), (13, 12020, False), (12, 12020, True), (12, 13010, True), (12, 11080, False)],
)
def test_a_driver_runs_libraries_of_its_major_version_and_older_ones(cuda, driver, runs):
    assert driver_runs(cuda, driver) is runs


def test_versions_are_said_as_people_write_them():
    assert [cuda_version(number) for number in (12020, 13000, 12090)] == ["12.2", "13.0", "12.9"]


def test_a_driver_older_than_a_runtimes_cuda_leaves_it_out_with_one_sentence():
    old = HostView(device="cuda", architecture="sm_86", gpu_name="GPU", physical_cores=2, cuda_driver=11080)
    made = plan(suite(), old)
    (left,) = (item for item in made.left_out if item.cell == "pytorch")
    assert left.reason == (
        "Pytorch ships CUDA 12; this driver knows CUDA up to 11.8: update the driver, "
        "or adopt an environment with --env"
    )
    assert "pytorch" not in {cell.runtime for cell in made.cells}
    adopted = replace(old, adopted=frozenset({"pytorch"}))
    assert "pytorch" in {cell.runtime for cell in plan(suite(), adopted).cells}


def test_an_adopted_environment_is_not_judged_by_the_catalogues_kernels():
    hopper = HostView(
        device="cuda", architecture="sm_90", gpu_name="H100", physical_cores=2, adopted=frozenset({"pytorch"})
    )
    assert {cell.runtime for cell in plan(suite(), hopper).cells} == {"pytorch"}


def test_tf32_is_left_out_on_a_cpu():
    made = plan(suite(precision=["fp32", "tf32"]))
    assert {cell.workload.precision for cell in made.cells} == {"fp32"}
    assert all("tf32" in item.reason for item in made.left_out)


def test_a_mode_on_another_device_is_left_out_with_the_device():
    made = plan(suite(mode=["compile"]))
    assert "pytorch.compile" in {item.cell for item in made.left_out}


def test_exclusions_take_cells_out():
    asked = parse_suite(
        {"name": "t", "matrix": {"batch_size": [1, 8]}, "exclude": [{"runtime": "pytorch", "batch_size": 8}]},
        "test",
    )
    made = plan(asked)
    assert not [c for c in made.cells if c.runtime == "pytorch" and c.workload.batch_size == 8]
    assert [c for c in made.cells if c.runtime == "pytorch" and c.workload.batch_size == 1]


def test_sequence_length_belongs_to_text_models_only():
    made = plan(suite(model=["resnet50", "bert_base"], sequence_length=[64, 128]))
    lengths = {(c.workload.model, c.workload.sequence_length) for c in made.cells}
    assert lengths == {("resnet50", None), ("bert_base", 64), ("bert_base", 128)}


def test_the_same_seed_gives_the_same_order_and_another_seed_another():
    asked = suite(model=["resnet50", "mobilenet_v2", "bert_base"], batch_size=[1, 2, 4, 8])
    first = [load.load_id for load in plan(asked, seed=7).loads]
    assert first == [load.load_id for load in plan(asked, seed=7).loads]
    assert first != [load.load_id for load in plan(asked, seed=8).loads]


def test_a_refused_conversion_is_left_out_with_its_reason_and_the_rest_stays():
    catalogue = CATALOGUE | {
        "onnxruntime": spec("onnxruntime", modes={"cpu": ("cpu",)}, sources=("pytorch", "mxnet"))
    }
    host = HostView(
        device="cpu", physical_cores=2, refused={("bert_base", "mxnet", "seeded", 128): "MXNet said no"}
    )
    asked = suite(runtime=["onnxruntime"], source=["pytorch", "mxnet"], model=["resnet50", "bert_base"])
    made = plan(asked, host, catalogue)
    assert {(cell.source, cell.workload.model) for cell in made.cells} == {
        ("pytorch", "resnet50"), ("mxnet", "resnet50"), ("pytorch", "bert_base"),
    }  # fmt: skip
    assert [item.reason for item in made.left_out] == ["MXNet said no"]
    assert "mxnet" in made.left_out[0].cell


def test_shards_of_a_plan_are_together_the_whole_plan():
    asked = suite(model=["resnet50", "bert_base"], batch_size=[1, 4])
    whole = make_plan(asked, CATALOGUE, CPU, seed=5)
    shards = [Shard(index=index, count=3) for index in (1, 2, 3)]
    parts = [make_plan(asked, CATALOGUE, CPU, seed=5, shard=shard) for shard in shards]
    loads = sorted((load for part in parts for load in part.loads), key=lambda load: load.position)
    assert tuple(loads) == whole.loads
    assert all({cell.runtime for cell in part.cells} == {"pytorch", "onnxruntime"} for part in parts)


def test_a_host_that_runs_less_takes_the_same_blocks():
    asked = suite(runtime=["pytorch"], precision=["fp32", "tf32"], batch_size=[1, 4, 8])
    gpu = HostView(device="cuda", architecture="sm_80", gpu_name="A100", physical_cores=2)
    for index in (1, 2):
        shard = Shard(index=index, count=2)
        both = [make_plan(asked, CATALOGUE, host, seed=2, shard=shard) for host in (CPU, gpu)]
        assert len(both[1].cells) == 2 * len(both[0].cells)
        assert len({frozenset(cell.workload.batch_size for cell in part.cells) for part in both}) == 1


ZOOS = {
    "pytorch": spec("pytorch", owns_reference=True, converts=True, native={"resnet50": "zoo.ResNet"}),
    "mxnet": spec(
        "mxnet", converts=True, native={"resnet50": "zoo.v1"}, native_absent={"bert_base": "its zoo is gone"}
    ),
    "jax": spec("jax"),
    "onnxruntime": spec("onnxruntime", modes={"cpu": ("cpu",)}, sources=("pytorch", "mxnet")),
}


def native_plan(host=CPU, **matrix):
    asked = {"runtime": list(ZOOS), "source": ["pytorch", "mxnet"], "weights": ["native"]} | matrix
    return plan(suite(**asked), host, ZOOS)


def test_native_networks_are_planned_where_a_zoo_has_them():
    made = native_plan()
    assert sorted(cell.cell_id for cell in made.cells) == [
        "mxnet.eager.resnet50.fp32.b1.native",
        "onnxruntime.cpu.from-mxnet.resnet50.fp32.b1.native",
        "onnxruntime.cpu.from-pytorch.resnet50.fp32.b1.native",
        "pytorch.eager.resnet50.fp32.b1.native",
    ]
    (left,) = made.left_out
    assert left.cell == "jax.eager.resnet50.fp32.b1.native"
    assert left.reason == "Jax has no native resnet50: no zoo of networks ships with it"


def test_an_absent_native_network_leaves_out_its_conversion_too():
    made = native_plan(model=["bert_base"], runtime=["mxnet", "onnxruntime"], source=["mxnet"])
    assert made.cells == ()
    assert {left.reason for left in made.left_out} == {"Mxnet has no native bert_base: its zoo is gone"}
    assert len(made.left_out) == 2


def test_native_and_matched_weights_are_kept_apart():
    made = native_plan(weights=["matched", "native"], runtime=["mxnet", "onnxruntime"], source=["mxnet"])
    origins = {(cell.runtime, cell.workload.weights): cell.weights_origin for cell in made.cells}
    assert origins == {
        ("mxnet", "matched"): "seeded", ("onnxruntime", "matched"): "seeded",
        ("mxnet", "native"): "native-mxnet/seeded", ("onnxruntime", "native"): "native-mxnet/seeded",
    }  # fmt: skip


def test_a_refused_conversion_of_a_native_network_leaves_the_matched_one_in():
    refused = {("resnet50", "mxnet", "native-mxnet/seeded", None): "mx2onnx said no"}
    host = HostView(device="cpu", physical_cores=2, refused=refused)
    made = native_plan(host, weights=["matched", "native"], runtime=["onnxruntime"], source=["mxnet"])
    assert [cell.workload.weights for cell in made.cells] == ["matched"]
    assert [left.reason for left in made.left_out] == ["mx2onnx said no"]


def test_pretrained_native_weights_that_nobody_fetches_name_the_remedy():
    asked = {"runtime": ["pytorch", "mxnet"], "weights": ["native"], "model": ["resnet50"], "batch_size": [1]}
    text = {"name": "t", "matrix": asked, "models": {"weights_from": "pretrained"}}
    made = plan(parse_suite(text, "test"), catalogue=ZOOS)
    assert [cell.runtime for cell in made.cells] == ["pytorch"]
    (left,) = made.left_out
    assert "zoo.v1 are not fetched" in left.reason
    assert "mxnet-resnet50.safetensors" in left.reason


OPENVINO = RuntimeSpec(
    name="onnxruntime-openvino",
    engine="onnxruntime",
    title="Onnxruntime",
    modes={"openvino": ("cpu",)},
    precisions=("fp32", "bf16"),
    devices={"cpu": DeviceBuild(requirements="z", precisions=("fp32", "bf16"))},
    sources=("pytorch",),
    build_of="onnxruntime",
)
TWO_BUILDS = {
    "onnxruntime": spec(
        "onnxruntime",
        modes={"cuda": ("cuda",), "cpu": ("cpu",), "openvino": ("cpu",)},
        precisions=("fp32", "bf16"),
        devices={"cpu": DeviceBuild(requirements="x", precisions=("fp32",))},
        sources=("pytorch",),
        builds=(OPENVINO,),
    )
}


def test_a_mode_is_planned_with_the_precisions_of_its_own_build():
    asked = suite(runtime=["onnxruntime"], mode=["cpu", "openvino"], precision=["fp32", "bf16"])
    made = plan(asked, catalogue=TWO_BUILDS)
    assert {(cell.mode, cell.workload.precision) for cell in made.cells} == {
        ("cpu", "fp32"), ("openvino", "fp32"), ("openvino", "bf16"),
    }  # fmt: skip
    reasons = [item.reason for item in made.left_out]
    assert reasons == ["bf16 is not in mode cpu of Onnxruntime on the CPU (fp32)"]


def test_a_plan_runs_in_the_builds_of_its_modes():
    both = plan(suite(runtime=["onnxruntime"], mode=["cpu", "openvino"]), catalogue=TWO_BUILDS)
    assert [build.name for build in builds_of(both, TWO_BUILDS)] == ["onnxruntime", "onnxruntime-openvino"]
    one = plan(suite(runtime=["onnxruntime"], mode=["openvino"]), catalogue=TWO_BUILDS)
    assert builds_of(one, TWO_BUILDS) == (OPENVINO,)


def test_a_build_that_is_only_brought_is_left_out_until_an_environment_is_adopted():
    usual = spec("onnxruntime", modes={"cuda": ("cuda",), "tensorrt": ("cuda",)}, sources=("pytorch",))
    brought = replace(
        usual,
        name="onnxruntime-tensorrt",
        modes={"tensorrt": ("cuda",)},
        devices={"cuda": DeviceBuild(requirements="", brought="TensorRT's libraries")},
        build_of="onnxruntime",
    )
    catalogue = CATALOGUE | {"onnxruntime": replace(usual, builds=(brought,))}
    gpu = HostView(device="cuda", architecture="sm_86", gpu_name="GPU", physical_cores=2)
    asked = suite(runtime=["onnxruntime"], mode=["default", "tensorrt"])
    made = plan(asked, gpu, catalogue)
    assert {cell.mode for cell in made.cells} == {"cuda"}
    (left,) = made.left_out
    assert "needs TensorRT's libraries" in left.reason
    assert "--env onnxruntime-tensorrt=PYTHON" in left.reason
    made = plan(asked, replace(gpu, adopted=frozenset({"onnxruntime-tensorrt"})), catalogue)
    assert {cell.mode for cell in made.cells} == {"cuda", "tensorrt"}
