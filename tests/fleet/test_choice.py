from dataclasses import replace
from pathlib import Path

import pytest

from greenbench.core.errors import ConfigurationError, EngineUnavailableError
from greenbench.fleet import docker_engine
from greenbench.fleet.choice import choose
from greenbench.fleet.docker_engine import connect


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


def absent(settings):
    raise EngineUnavailableError("no Docker Engine answers at unix:///x")


WITH = {"docker": lambda settings: Named("docker"), "venv": lambda settings: Named("venv")}
WITHOUT = WITH | {"docker": absent}


@pytest.fixture
def plain(settings):
    return replace(settings, environments={})


def test_auto_takes_docker_where_an_engine_answers_and_says_so(plain):
    choice = choose("auto", plain, launchers=WITH)
    assert choice.launcher.name == "docker"
    assert choice.sentence.startswith("launcher docker: a Docker Engine answers")


def test_auto_takes_venv_and_says_why(plain):
    choice = choose("auto", plain, launchers=WITHOUT)
    assert (choice.launcher.name, choice.sentence) == (
        "venv",
        "launcher venv: no Docker Engine answers at unix:///x",
    )


def test_docker_that_was_asked_for_is_never_replaced(plain):
    with pytest.raises(EngineUnavailableError):
        choose("docker", plain, launchers=WITHOUT)
    assert choose("venv", plain, launchers=WITH).launcher.name == "venv"


def test_adopted_environments_mean_venv(settings):
    assert choose("auto", settings, launchers=WITH).launcher.name == "venv"
    with pytest.raises(ConfigurationError, match="--env"):
        choose("docker", settings, launchers=WITH)


@pytest.mark.parametrize(
    ("name", "said"), [("remote", "reserved"), ("podman", "unknown launcher 'podman'; allowed")]
)
def test_other_names_are_refused(plain, name, said):
    with pytest.raises(ConfigurationError, match=said):
        choose(name, plain, launchers=WITH)


def test_no_docker_command_is_one_line(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        EngineUnavailableError, match=r"there is no docker command; install .* --launcher venv"
    ):
        connect()


def test_no_socket_is_one_line(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(docker_engine.shutil, "which", lambda name: "/bin/docker")
    monkeypatch.setattr(docker_engine, "_asked", lambda *command: f"unix://{tmp_path}/none.sock\n")
    with pytest.raises(EngineUnavailableError, match=r"no Docker Engine answers at .*systemctl start docker"):
        connect()


def test_a_remote_engine_is_refused(monkeypatch):
    monkeypatch.setattr(docker_engine.shutil, "which", lambda name: "/bin/docker")
    monkeypatch.setattr(docker_engine, "_asked", lambda *command: "ssh://elsewhere\n")
    with pytest.raises(EngineUnavailableError, match="ssh://elsewhere is not on this host"):
        connect()


def test_no_permission_names_the_group(monkeypatch):
    def refuse(self, address):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(docker_engine.shutil, "which", lambda name: "/bin/docker")
    monkeypatch.setattr(docker_engine, "_asked", lambda *command: "unix:///var/run/docker.sock\n")
    monkeypatch.setattr(docker_engine.socket.socket, "connect", refuse)
    with pytest.raises(EngineUnavailableError, match=r"may not use .*usermod -aG docker \$USER"):
        connect()
