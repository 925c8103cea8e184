import numpy as np
import pytest

from greenbench.bench.inputs import GOLDEN_ROWS, IMAGENET_MEAN, IMAGENET_STD, batch


def test_images_have_the_interface_of_vision_models():
    images = batch("resnet50", 3, None)
    assert list(images) == ["input"]
    assert images["input"].shape == (3, 3, 224, 224)
    assert images["input"].dtype == np.float32
    assert images["input"].flags.c_contiguous


def test_normalisation_can_be_undone_to_whole_pixels():
    pixels = batch("mobilenet_v2", 1, None)["input"][0].transpose(1, 2, 0) * IMAGENET_STD + IMAGENET_MEAN
    assert np.abs(pixels * 255 - np.round(pixels * 255)).max() < 1e-3
    assert pixels.min() > -1e-6
    assert 0.5 < pixels.max() < 1 + 1e-6


def test_every_batch_begins_with_the_golden_rows():
    golden, large = batch("resnet50", GOLDEN_ROWS, None)["input"], batch("resnet50", 20, None)["input"]
    np.testing.assert_array_equal(large[:GOLDEN_ROWS], golden)


@pytest.mark.parametrize(("model", "length"), [("resnet50", None), ("bert_base", 128)])
def test_all_rows_of_a_batch_of_64_are_distinct(model, length):
    rows = next(iter(batch(model, 64, length).values()))
    assert len({row.tobytes() for row in rows}) == 64


def test_batches_are_the_same_each_time():
    for name, value in batch("bert_base", 17, 64).items():
        np.testing.assert_array_equal(value, batch("bert_base", 17, 64)[name])


def test_tokens_begin_and_end_as_bert_expects():
    inputs = batch("bert_base", GOLDEN_ROWS, 128)
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    assert ids.dtype == mask.dtype == np.int64
    assert ids.shape == mask.shape == (GOLDEN_ROWS, 128)
    lengths = mask.sum(axis=1)
    assert (ids[:, 0] == 101).all()
    assert (ids[np.arange(GOLDEN_ROWS), lengths - 1] == 102).all()
    assert ids.max() < 30522


def test_short_passage_is_padded_and_masked():
    inputs = batch("bert_base", GOLDEN_ROWS, 128)
    lengths = inputs["attention_mask"].sum(axis=1)
    assert 5 < lengths.min() < 32
    assert lengths.max() == 128
    assert (inputs["input_ids"][inputs["attention_mask"] == 0] == 0).all()
    assert (np.diff(inputs["attention_mask"], axis=1) <= 0).all()


def test_truncation_keeps_the_separator():
    ids = batch("bert_base", 2, 16)["input_ids"]
    assert ids[0, -1] == 102
    assert (ids[0, 1:-1] != 102).all()


@pytest.mark.parametrize("length", [None, 0, 1])
def test_text_without_a_length_is_refused(length):
    with pytest.raises(ValueError, match="sequence length"):
        batch("bert_base", 1, length)
