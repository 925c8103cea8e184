import pytest

from greenbench_runtime.engine import UnknownModelError
from greenbench_runtime.networks.flops import matched_flops


# torchvision's tables give billions of multiply-adds: 4.089 and 0.301 at 224 x 224.
@pytest.mark.parametrize(("model", "billion_multiply_adds"), [("resnet50", 4.089), ("mobilenet_v2", 0.301)])
def test_the_published_operations_of_vision_networks(model, billion_multiply_adds):
    assert matched_flops(model, 0) / 2e9 == pytest.approx(billion_multiply_adds, abs=5e-4)


@pytest.mark.parametrize("length", [1, 64, 128, 512])
def test_the_operations_of_a_transformer_follow_from_its_sizes(length):
    hidden, intermediate, layers = 768, 3072, 12
    weights = 4 * hidden * hidden + 2 * hidden * intermediate
    pairs = 2 * length * length * hidden
    assert matched_flops("bert_base", length) == 2 * layers * (length * weights + pairs)


def test_an_unknown_model_is_refused():
    with pytest.raises(UnknownModelError, match="vgg"):
        matched_flops("vgg", 0)
