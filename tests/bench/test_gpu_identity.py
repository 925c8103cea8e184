"""One GPU under several numberings: NVML's, CUDA's, a process's own. Only its UUID holds in all of them."""

import ctypes
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.energy.test_nvml import FakeNvml

from greenbench.core.errors import FleetError
from greenbench.energy.nvml import open_gpu
from greenbench.fleet.compose_tool import ComposeTool, ImageOrder
from greenbench.fleet.launcher import LaunchSettings
from greenbench.fleet.process import runtime_environment
from greenbench.fleet.state import StateFolder
from greenbench_runtime.engine import UnsupportedError
from greenbench_runtime.networks import cuda_devices

BY_NVML = tuple(f"GPU-{uuid.UUID(int=number << 96 | 0xFACE)}" for number in (0xA, 0xB, 0xC))
BY_CUDA = (BY_NVML[2], BY_NVML[0], BY_NVML[1])
"""The fastest first, as CUDA numbers unless told otherwise; NVML goes by the bus."""


class ThreeBoards(FakeNvml):
    def __init__(self) -> None:
        super().__init__(names=("NVIDIA A", "NVIDIA B", "NVIDIA C"))

    def nvmlDeviceGetUUID(self, handle):
        return BY_NVML[handle]


def driver_that_shows(*uuids: str) -> SimpleNamespace:
    """``libcuda`` as a process with these GPUs visible sees it."""

    def count(found):
        found._obj.value = len(uuids)
        return 0

    def identity(into, ordinal):
        into[:] = uuid.UUID(uuids[ordinal].removeprefix("GPU-")).bytes
        return 0

    def name(into, size, ordinal):
        into.value = f"board {ordinal}".encode()
        return 0

    def memory(found, ordinal):
        found._obj.value = (ordinal + 1) << 30
        return 0

    def attribute(found, which, ordinal):
        found._obj.value = {75: 9, 76: ordinal}[which]
        return 0

    return SimpleNamespace(
        cuInit=lambda flags: 0,
        cuDeviceGetCount=count,
        cuDeviceGetUuid_v2=identity,
        cuDeviceGetName=name,
        cuDeviceTotalMem_v2=memory,
        cuDeviceGetAttribute=attribute,
    )


@pytest.fixture
def visible(monkeypatch):
    """Set the GPUs that CUDA shows this process, in its order."""

    def show(*uuids: str) -> None:
        driver = driver_that_shows(*uuids)
        monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)

    return show


@pytest.mark.parametrize(("by_nvml", "by_cuda"), [(0, 1), (1, 2), (2, 0)])
def test_the_gpu_that_is_metered_is_the_one_that_computes(visible, by_nvml, by_cuda):
    visible(*BY_CUDA)
    metered = open_gpu(ThreeBoards(), by_nvml).facts["uuid"]
    ordinal = cuda_devices.ordinal_of(metered)
    assert ordinal == by_cuda
    assert cuda_devices.cuda_devices()[ordinal].uuid == BY_NVML[by_nvml]


def test_by_uuid_the_same_board_is_metered_whatever_its_number():
    for index, identity in enumerate(BY_NVML):
        facts = open_gpu(ThreeBoards(), identity).facts
        assert (facts["index"], facts["uuid"], facts["name"]) == (index, identity, ThreeBoards().names[index])


@pytest.mark.parametrize("wanted", BY_NVML)
def test_a_process_that_is_shown_one_gpu_calls_it_its_first(visible, tmp_path, wanted):
    settings = LaunchSettings(state=StateFolder.at(tmp_path), assets=Path(), gpu_uuid=wanted)
    environment = runtime_environment(settings, device="cuda")
    assert environment["CUDA_VISIBLE_DEVICES"] == wanted
    visible(environment["CUDA_VISIBLE_DEVICES"])
    assert cuda_devices.ordinal_of(wanted) == 0


def test_where_no_gpu_is_named_none_is_taken(tmp_path):
    settings = LaunchSettings(state=StateFolder.at(tmp_path), assets=Path())
    with pytest.raises(FleetError, match="no GPU is named by its UUID"):
        runtime_environment(settings, device="cuda")
    order = ImageOrder(
        runtime="pytorch", device="cuda", lock=tmp_path, requirements_sha256="0", fingerprint="0"
    )
    with pytest.raises(FleetError, match="no GPU is named by its UUID"):
        ComposeTool(settings, owner=(1, 1)).create(order, log_path=tmp_path / "log")


def test_a_gpu_that_is_hidden_from_the_process_is_not_replaced_by_another(visible):
    visible(BY_NVML[0])
    with pytest.raises(
        UnsupportedError, match=f"GPU {BY_NVML[1]} is not visible here; visible are {BY_NVML[0]}"
    ):
        cuda_devices.ordinal_of(BY_NVML[1])


def test_an_instance_of_a_split_gpu_is_taken_where_that_gpu_alone_is_shown(visible, monkeypatch):
    instance = "GPU-" + str(uuid.uuid4())
    visible(instance)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", BY_NVML[1])
    assert cuda_devices.ordinal_of(BY_NVML[1]) == 0
    with pytest.raises(UnsupportedError, match="is not visible here"):
        cuda_devices.ordinal_of(BY_NVML[0])
    visible(instance, BY_NVML[2])
    with pytest.raises(UnsupportedError, match="is not visible here"):
        cuda_devices.ordinal_of(BY_NVML[1])


def test_no_visible_gpu_says_where_to_look(visible):
    visible()
    with pytest.raises(UnsupportedError, match="CUDA_VISIBLE_DEVICES"):
        cuda_devices.ordinal_of(BY_NVML[0])


def test_every_fact_of_a_board_is_its_own(visible):
    visible(*BY_CUDA)
    boards = cuda_devices.cuda_devices()
    assert [board.uuid for board in boards] == list(BY_CUDA)
    assert [board.compute_capability for board in boards] == ["9.0", "9.1", "9.2"]
    assert [board.memory_bytes >> 30 for board in boards] == [1, 2, 3]
