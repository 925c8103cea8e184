import numpy as np
import pytest

from greenbench.bench.parity import compare, fallback_doubt, numeric_mode_doubt
from greenbench.core.doubt import Limits, Rule, Verdict


@pytest.fixture
def reference() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(8, 1000)).astype(np.float32)


def test_equal_outputs_pass_with_no_error(reference):
    parity = compare(reference.copy(), reference, precision="fp32")
    assert parity.passed
    assert parity.relative_error == 0.0
    assert parity.cosine == pytest.approx(1.0)
    assert parity.top1_agreement == 1.0
    assert parity.doubt is None


@pytest.mark.parametrize(("error", "passes"), [(5e-5, True), (2e-4, False)])
def test_the_limit_is_relative_to_the_references_norm(reference, error, passes):
    noise = np.random.default_rng(2).normal(size=reference.shape)
    noise *= (
        error
        * np.linalg.norm(reference, axis=1, keepdims=True)
        / np.linalg.norm(noise, axis=1, keepdims=True)
    )
    parity = compare((reference + noise).astype(np.float32), reference, precision="fp32")
    assert parity.relative_error == pytest.approx(error, rel=0.02)
    assert parity.passed is passes


def test_one_wrong_row_of_eight_is_found(reference):
    output = reference.copy()
    output[5] = output[5][::-1]
    parity = compare(output, reference, precision="fp32")
    assert not parity.passed
    assert parity.doubt is not None
    assert parity.doubt.verdict is Verdict.INVALID


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_outputs_that_are_not_finite_fail(reference, poison):
    output = reference.copy()
    output[0, 0] = poison
    assert not compare(output, reference, precision="bf16").passed


def test_a_reference_without_spread_proves_nothing(reference):
    flat = np.full_like(reference, 1e-29)
    assert not compare(flat, flat, precision="fp32").passed


def test_another_shape_fails(reference):
    assert not compare(reference[:, :999], reference, precision="fp32").passed


def test_tf32_in_force_under_fp32_is_found(reference):
    parity = compare(reference, reference, precision="fp32")
    doubt = numeric_mode_doubt(parity, precision="fp32", device="cuda", flags={"use_tf32": "1"}, dtypes={})
    assert doubt is not None
    assert doubt.rule is Rule.NUMERIC_MODE


def test_an_error_too_small_for_tf32_is_found(reference):
    parity = compare(reference, reference, precision="tf32")
    flags = {"use_tf32": "1"}
    assert numeric_mode_doubt(parity, precision="tf32", device="cuda", flags=flags, dtypes={}) is not None


def test_the_mode_asked_for_raises_no_doubt(reference):
    parity = compare(reference, reference, precision="fp32")
    dtypes = {"weights": "float32"}
    assert (
        numeric_mode_doubt(parity, precision="fp32", device="cuda", flags={"use_tf32": "0"}, dtypes=dtypes)
        is None
    )


def test_weights_of_another_type_are_found(reference):
    parity = compare(reference, reference, precision="fp32")
    assert numeric_mode_doubt(parity, precision="fp32", device="cpu", flags={}, dtypes={"weights": "float16"})


@pytest.mark.parametrize(
    ("nodes", "verdict"),
    [
        ({"CUDAExecutionProvider": 100}, None),
        ({"CUDAExecutionProvider": 95, "CPUExecutionProvider": 5}, Verdict.DOUBTFUL),
        ({"CUDAExecutionProvider": 80, "CPUExecutionProvider": 20}, Verdict.INVALID),
        ({}, None),
    ],
)
def test_nodes_on_another_provider_are_judged_by_their_share(nodes, verdict):
    doubt = fallback_doubt(nodes, wanted="cuda")
    assert (doubt.verdict if doubt else None) is verdict


def test_a_suites_own_limits_of_fallback_are_in_force():
    nodes = {"CUDAExecutionProvider": 50, "CPUExecutionProvider": 50}
    assert fallback_doubt(nodes, wanted="cuda", limits=Limits(doubtful=0.6, invalid=0.9)) is None
    doubt = fallback_doubt(nodes, wanted="cuda", limits=Limits(doubtful=0.4, invalid=0.6))
    assert (doubt.verdict, doubt.limit) == (Verdict.DOUBTFUL, 0.4)
