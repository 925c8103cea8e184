"""Images pushed to and pulled from a real registry on loopback."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.containers.conftest import LOCK, spec

from greenbench.core.errors import FleetError
from greenbench.core.progress import Silence
from greenbench.fleet import docker_engine
from greenbench.fleet.compose import DockerLauncher
from greenbench.fleet.exchange import ImageAbsentError, exchange_of, read_list
from greenbench.fleet.launcher import DEFAULT_BASE_IMAGE, LaunchSettings
from greenbench.fleet.readiness import wait_ready
from greenbench.fleet.sidecar import RaplSidecar
from greenbench.fleet.state import StateFolder

RUNTIME = spec("carried")
SECRET = "not-to-be-told"  # noqa: S105 - of a registry that lives for one test
USERS = "me:$2b$05$hhKj8TrcCDgRKdmOEuQm9ODoq7As4FLjMaAwhne37a8yWV4HBfRbi\n"
"""As htpasswd writes the secret, by bcrypt."""

CONFIGURATION = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:{port}"}}
{more}
"""


def served(root: Path, more: str = ""):
    """Start a registry; return its process and address."""
    program = shutil.which("docker-registry")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs docker-registry (Debian's package of that name)")
        pytest.skip("no docker-registry here; on Debian: apt-get install docker-registry")
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
    configuration = root / "config.yml"
    configuration.write_text(CONFIGURATION.format(root=root / "data", port=port, more=more))
    process = subprocess.Popen(
        [program, "serve", str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for _ in range(200):
        with socket.socket() as door:
            if door.connect_ex(("127.0.0.1", port)) == 0:
                return process, f"127.0.0.1:{port}"
        time.sleep(0.05)
    process.kill()
    pytest.fail("the registry does not answer")


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    process, address = served(tmp_path_factory.mktemp("registry"))
    yield f"{address}/bench"
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def host(make_assets, engine):
    """Return the launcher of a host with a state folder of its own; all share the engine."""
    assets, roots = make_assets(carried=LOCK), []

    def open_host(*, push=None, pull=None, base=None):
        roots.append(Path(tempfile.mkdtemp(prefix="gb-")))
        roots[-1].chmod(0o755)
        settings = LaunchSettings(
            state=StateFolder.at(roots[-1]),
            assets=assets,
            base_image=base or os.environ.get("GREENBENCH_BASE_IMAGE", DEFAULT_BASE_IMAGE),
            exchange=exchange_of(push=push, pull=pull),
        )
        return DockerLauncher(settings, engine), settings

    yield open_host
    for root in roots:
        label = f"greenbench.state={StateFolder.at(root).identity}"
        for container in engine.client.containers.list(all=True, filters={"label": label}):
            container.remove(force=True)
        shutil.rmtree(root, ignore_errors=True)
    forget(engine)


def forget(engine):
    """Leave nothing of the image on this host, so that only a registry has it."""
    for image in engine.client.images.list(filters={"label": "greenbench.runtime=carried"}):
        engine.client.images.remove(str(image.id), force=True)


@pytest.fixture(scope="module")
def pushed(host, registry, engine):
    launcher, settings = host(push=registry)
    build = launcher.build(RUNTIME, "cpu", Silence())
    launcher.down(images=True)
    assert not engine.client.images.list(filters={"label": "greenbench.runtime=carried"})
    return build, settings.state.images


def test_what_is_pushed_is_listed_by_its_digest(pushed, registry):
    build, images = pushed
    assert build.reference.startswith(f"{registry}/greenbench-carried@sha256:")
    (listed,) = read_list(images).images
    assert (listed.runtime, listed.device, listed.reference) == ("carried", "cpu", build.reference)


@pytest.mark.parametrize("by_list", [False, True])
def test_another_host_starts_the_same_image_without_building(pushed, registry, host, engine, by_list):
    build, images = pushed
    forget(engine)
    launcher, settings = host(pull=str(images) if by_list else registry)
    pulled = launcher.build(RUNTIME, "cpu", Silence())
    assert (pulled.identity, pulled.reference, pulled.packages) == (
        build.identity,
        build.reference,
        build.packages,
    )
    assert pulled.pulled
    assert not pulled.reused
    assert not list(settings.state.logs.glob("build-*"))
    assert launcher.built(RUNTIME, "cpu").contents_sha256 == build.contents_sha256
    with launcher.start(RUNTIME, "cpu") as instance:
        wait_ready(instance, deadline_s=60)
    assert launcher.build(RUNTIME, "cpu", Silence()).reused
    launcher.down(images=True)
    assert not engine.client.images.list(filters={"label": "greenbench.runtime=carried"})


def test_an_image_that_another_state_folder_uses_keeps_all_its_names(pushed, registry, host, engine):
    mine, yours = host(pull=registry)[0], host(pull=registry)[0]
    for launcher in (mine, yours):
        launcher.build(RUNTIME, "cpu", Silence())
    assert "is made from it" in " ".join(mine.down(images=True))
    assert yours.built(RUNTIME, "cpu") is not None
    yours.down(images=True)


def test_an_image_built_here_gives_way_to_the_registrys(pushed, registry, host, engine):
    build, _ = pushed
    forget(engine)
    launcher, settings = host()
    here = launcher.build(RUNTIME, "cpu", Silence())
    # By this the hosts of a fleet tell images that hold the same from others, before any is given work.
    assert here.contents_sha256 == build.contents_sha256
    again = DockerLauncher(replace(settings, exchange=exchange_of(push=None, pull=registry)), engine)
    assert again.build(RUNTIME, "cpu", Silence()).reference == build.reference
    again.down(images=True)


def test_an_exchanged_tag_is_seen_and_a_list_is_not_misled(pushed, registry, host, engine):
    build, images = pushed
    forget(engine)
    (listed,) = read_list(images).images
    repository, tag = f"{registry}/greenbench-carried", f"cpu-{listed.fingerprint}"
    forged = engine.client.images.get(os.environ.get("GREENBENCH_BASE_IMAGE", DEFAULT_BASE_IMAGE))
    forged.tag(repository, tag)
    engine.client.images.push(repository, tag)
    engine.client.images.remove(f"{repository}:{tag}")
    launcher, _ = host(pull=registry)
    with pytest.raises(FleetError, match="was made of nothing that is named, not of these files"):
        launcher.build(RUNTIME, "cpu", Silence())
    launcher, _ = host(pull=str(images))
    assert launcher.build(RUNTIME, "cpu", Silence()).identity == build.identity
    launcher.down(images=True)
    host(push=registry)[0].build(RUNTIME, "cpu", Silence())


def test_an_image_that_is_not_there_is_not_built_instead(registry, host, engine):
    forget(engine)
    launcher, _ = host(pull=f"{registry}/elsewhere")
    with pytest.raises(ImageAbsentError, match=r"has no image for cpu of these files .* push it there"):
        launcher.build(RUNTIME, "cpu", Silence())
    assert not engine.client.images.list(filters={"label": "greenbench.runtime=carried"})


def test_a_registry_that_does_not_answer_is_one_line(host):
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{door.getsockname()[1]}"
    for options in ({"pull": nobody}, {"push": nobody}):
        launcher, _ = host(**options)
        with pytest.raises(FleetError, match=rf"{nobody}/greenbench-carried does not .*connection refused"):
            launcher.build(RUNTIME, "cpu", Silence())


def test_a_registry_that_wants_a_login_says_so_and_takes_one(tmp_path, host, monkeypatch):
    (tmp_path / "users").write_text(USERS)
    more = f"auth: {{htpasswd: {{realm: here, path: {tmp_path / 'users'}}}}}"
    process, address = served(tmp_path, more)
    try:
        launcher, _ = host(push=address)
        with pytest.raises(FleetError, match=rf"no basic auth credentials; run `docker login {address}`"):
            launcher.build(RUNTIME, "cpu", Silence())
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
        shutil.copytree(Path.home() / ".docker" / "cli-plugins", tmp_path / "docker" / "cli-plugins")
        login = ["docker", "login", "-u", "me", "--password-stdin", address]
        subprocess.run(login, input=SECRET, text=True, check=True, capture_output=True)
        engine = docker_engine.connect()
        launcher, settings = host(push=address)
        again = DockerLauncher(settings, engine)
        assert again.build(RUNTIME, "cpu", Silence()).reference.startswith(address)
        told = [path.read_text() for path in settings.state.root.rglob("*") if path.is_file()]
        assert told
        assert not any(SECRET in text for text in told)
        again.down(images=True)
        engine.client.close()
    finally:
        process.terminate()
        process.wait()


def test_the_root_sidecar_travels_too_and_is_built_where_no_registry_has_it(registry, host, engine):
    _, settings = host(push=registry)
    RaplSidecar(settings, engine).build(Silence())
    for pull, said in ((registry, []), (f"{registry}/elsewhere", ["the RAPL sidecar is built here"])):
        _, other = host(pull=pull)
        heard = Notes()
        sidecar = RaplSidecar(other, engine)
        sidecar.build(heard)
        assert [text[: len("the RAPL sidecar is built here")] for text in heard.notes] == said
        assert sidecar.built()
        engine.client.images.remove(sidecar.tag)


class Notes(Silence):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)
