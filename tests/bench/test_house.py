"""What is loaded into a runtime, and what is refused before it is asked."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from tests.bench.test_planning import CATALOGUE
from tests.bench.test_rows import CELL

from greenbench.bench.breaker import worth_another_try
from greenbench.bench.house import House, Running
from greenbench.core.errors import RuntimeCallError

GPU = replace(CELL, device="cuda")


def house(architecture):
    library = SimpleNamespace(need=lambda *_, **__: SimpleNamespace(path="w", sha256="aa"))
    return House(
        launcher=SimpleNamespace(),
        catalogue=CATALOGUE,
        library=library,
        device="cuda",
        gpu_uuid="GPU-1",
        gpu_name="H100",
        architecture=architecture,
    )


def running(*shipped):
    return Running(
        spec=CATALOGUE["pytorch"],
        instance=SimpleNamespace(),
        client=SimpleNamespace(load=lambda **asked: asked),
        description=SimpleNamespace(kernel_architectures=shipped),
    )


def test_an_adopted_environment_without_kernels_for_the_gpu_is_named_and_not_tried_again():
    title = CATALOGUE["pytorch"].title
    with pytest.raises(RuntimeCallError) as caught:
        house("sm_90").load(running("sm_50", "sm_86"), GPU)
    assert str(caught.value) == f"{title} ships kernels for sm_50, sm_86; H100 is sm_90"
    assert not worth_another_try(caught.value, failed=1)


@pytest.mark.parametrize("shipped", [("sm_90",), ("sm_80", "compute_80"), ()])
def test_what_has_kernels_or_does_not_tell_is_loaded_on_the_gpu(shipped):
    asked = house("sm_90").load(running(*shipped), GPU)
    assert (asked["device"], asked["device_uuid"]) == ("cuda", "GPU-1")


def test_the_reference_on_the_cpu_needs_no_kernels():
    asked = house("sm_90").load(running("sm_50"), GPU, device="cpu")
    assert (asked["device"], asked["device_uuid"]) == ("cpu", "")
