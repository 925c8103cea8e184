import numpy as np
import pytest

from greenbench.bench.library import ModelLibrary, Refusal, sha256_of
from greenbench.core.errors import ConfigurationError, NotBuiltError


@pytest.fixture
def library(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return ModelLibrary(folder)


def put(library, tmp_path, key="weights/resnet50/seeded", data=b"weights"):
    made = tmp_path / "resnet50.safetensors"
    made.write_bytes(data)
    return library.adopt(key, made, kind="weights", origin="seed 1", maker="test", elapsed_s=0.1)


def test_a_file_is_kept_by_its_content(library, tmp_path):
    entry = put(library, tmp_path)
    path = library.folder / entry.path
    assert path.read_bytes() == b"weights"
    assert entry.sha256 == sha256_of(path)
    assert entry.sha256[:16] in entry.path
    assert not (tmp_path / "resnet50.safetensors").exists()
    assert path.stat().st_mode & 0o777 == 0o644


def test_what_was_made_is_found_again(library, tmp_path):
    entry = put(library, tmp_path)
    assert ModelLibrary(library.folder).need("weights/resnet50/seeded", remedy="x") == entry


def test_what_was_never_made_names_the_remedy(library):
    with pytest.raises(NotBuiltError, match="weights/bert_base/seeded is not prepared; run `greenbench up`"):
        library.need("weights/bert_base/seeded", remedy="greenbench up")


def test_a_changed_byte_is_found_by_name(library, tmp_path):
    entry = put(library, tmp_path)
    path = library.folder / entry.path
    path.write_bytes(b"weightz")
    assert not library.intact("weights/resnet50/seeded")
    with pytest.raises(ConfigurationError, match=path.name):
        library.need("weights/resnet50/seeded", remedy="greenbench up")


def test_a_deleted_file_counts_as_never_made(library, tmp_path):
    entry = put(library, tmp_path)
    (library.folder / entry.path).unlink()
    with pytest.raises(NotBuiltError):
        library.need("weights/resnet50/seeded", remedy="greenbench up")


def test_a_damaged_index_is_named(library, tmp_path):
    put(library, tmp_path)
    (library.folder / "index.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"index\.json is damaged"):
        library.find("weights/resnet50/seeded")


def test_reference_outputs_come_back_as_they_were(library, tmp_path):
    outputs = np.arange(12, dtype=np.float32).reshape(3, 4)
    made = tmp_path / "resnet50.npz"
    np.savez(made, output=outputs)
    entry = library.adopt("reference/x", made, kind="reference", origin="o", maker="m", elapsed_s=0)
    assert (library.reference(entry) == outputs).all()


def test_a_refusal_is_kept_until_the_conversion_is_there(library):
    assert library.refusals() == {}
    asked = {"model": "bert_base", "source": "mxnet", "weights_from": "seeded", "sequence_length": 128}
    library.refuse(Refusal(reason="no converter for an operator", **asked))
    library.refuse(Refusal(reason="another one", **asked | {"model": "resnet50", "sequence_length": None}))
    library.refuse(Refusal(reason="no converter for erf", **asked))
    question = ("bert_base", "mxnet", "seeded", 128)
    again = ModelLibrary(library.folder)
    assert again.refusals()[question] == "no converter for erf"
    again.allow(question)
    assert list(library.refusals()) == [("resnet50", "mxnet", "seeded", None)]


@pytest.mark.parametrize("content", ["{", "[1]", '[{"model": "x"}]'])
def test_damaged_refusals_are_named(library, content):
    (library.folder / "refused.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"refused\.json is damaged"):
        library.refusals()
