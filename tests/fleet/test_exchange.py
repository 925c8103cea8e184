import pytest

from greenbench import __version__
from greenbench.core.errors import ConfigurationError, FleetError
from greenbench.fleet.choice import choose
from greenbench.fleet.exchange import (
    Exchange,
    ImageAbsentError,
    ImageName,
    ListedImage,
    exchange_of,
    listed_reference,
    read_list,
    write_list,
)
from greenbench.fleet.launcher import LaunchSettings

NAME = ImageName(runtime="jax", device="cpu", fingerprint="a" * 64)


def listed(runtime="jax", device="cpu", fingerprint="a" * 64, digest="b" * 64):
    reference = f"127.0.0.1:5000/me/greenbench-{runtime}@sha256:{digest}"
    return ListedImage(runtime=runtime, device=device, fingerprint=fingerprint, reference=reference)


def test_an_images_name_in_a_registry_tells_what_it_was_made_of():
    assert NAME.repository("ghcr.io/me") == "ghcr.io/me/greenbench-jax"
    assert NAME.tag == "cpu-" + "a" * 64


@pytest.mark.parametrize("registry", ["ghcr.io/me/bench", "127.0.0.1:5000", "localhost:5000/a/b_c", "acme"])
def test_registries_are_taken_as_written(registry):
    found = exchange_of(push=registry, pull=registry)
    assert (found.push, found.pull, found.asked) == (registry, registry, "--pull")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://ghcr.io/me",
        "GHCR.io/me",
        "a//b",
        "a/",
        "../x",
        "a b",
        "a:port/b",
        "a@sha256:0",
        "-a/b",
        "a;b",
    ],
)
@pytest.mark.parametrize("option", ["push", "pull"])
def test_what_is_no_registry_is_named_with_what_is_allowed(option, text):
    with pytest.raises(ConfigurationError, match=rf"--{option} .* is not REGISTRY\[:PORT\]\[/PATH\]"):
        exchange_of(**{"push": None, "pull": None} | {option: text})


def test_a_list_keeps_images_of_the_same_base_and_replaces_its_own(tmp_path):
    path = tmp_path / "images.json"
    write_list(path, base_image="base", images=[listed(), listed("mxnet")])
    write_list(path, base_image="base", images=[listed(digest="c" * 64)])
    found = {one.runtime: one.reference[-64:] for one in read_list(path).images}
    assert found == {"jax": "c" * 64, "mxnet": "b" * 64}
    write_list(path, base_image="another", images=[listed(device="cuda")])
    assert [(one.runtime, one.device) for one in read_list(path).images] == [("jax", "cuda")]


def test_a_list_gives_the_digest_of_these_files_alone(tmp_path):
    path = tmp_path / "images.json"
    write_list(path, base_image="base", images=[listed()])
    found = exchange_of(push=None, pull=str(path)).pull
    assert listed_reference(found, NAME) == listed().reference
    with pytest.raises(ImageAbsentError, match="none of mxnet for cpu"):
        listed_reference(found, ImageName(runtime="mxnet", device="cpu", fingerprint="a" * 64))
    other = ImageName(runtime="jax", device="cpu", fingerprint="d" * 64)
    with pytest.raises(FleetError, match=rf"made of other files \(by greenbench {__version__} on base"):
        listed_reference(found, other)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("", "Invalid JSON"),
        ("[]", "should be an object"),
        (
            '{"schema_version": 2, "greenbench_version": "1", "base_image": "b", "images": []}',
            "schema_version",
        ),
    ],
)
def test_a_list_that_cannot_be_read_is_named(tmp_path, content, said):
    path = tmp_path / "images.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=rf"{path}.*{said}"):
        exchange_of(push=None, pull=str(path))


@pytest.mark.parametrize(
    "reference", ["x@sha256:12", "../x@sha256:" + "b" * 64, "x:tag", "x -v /:/h@sha256:" + "b" * 64]
)
def test_a_reference_that_names_no_digest_is_refused(tmp_path, reference):
    path = tmp_path / "images.json"
    write_list(path, base_image="base", images=[listed()])
    path.write_text(path.read_text().replace(listed().reference, reference))
    with pytest.raises(ConfigurationError, match=r"images\.0\.reference"):
        read_list(path)


@pytest.mark.parametrize(("launcher", "environments"), [("venv", {}), ("auto", {"jax": "/opt/python"})])
def test_environments_are_not_exchanged(state, assets, launcher, environments):
    settings = LaunchSettings(
        state=state, assets=assets, environments=environments, exchange=Exchange(push="acme")
    )
    with pytest.raises(ConfigurationError, match="--push is for images of --launcher docker"):
        choose(launcher, settings)
