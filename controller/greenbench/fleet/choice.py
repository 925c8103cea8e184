"""Which launcher is taken, and why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from greenbench.core.errors import ConfigurationError, EngineUnavailableError
from greenbench.fleet.compose import DockerLauncher
from greenbench.fleet.launcher import Launcher, LaunchSettings
from greenbench.fleet.venv import VenvLauncher

Opener = Callable[[LaunchSettings], Launcher]
LAUNCHERS: Mapping[str, Opener] = {"docker": DockerLauncher.connect, "venv": VenvLauncher}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A launcher and the sentence that says why it was taken."""

    launcher: Launcher
    sentence: str


def choose(name: str, settings: LaunchSettings, *, launchers: Mapping[str, Opener] = LAUNCHERS) -> Choice:
    """Return the launcher that `name` asks for.

    Args:
        name: ``docker``, ``venv`` or ``auto``: Docker where an engine answers, else ``venv``.
        settings: Handed to the launcher.
        launchers: How each is opened.

    Raises:
        ConfigurationError: Another name, environments adopted under ``docker``, images exchanged without it.
        EngineUnavailableError: ``docker`` was asked for and no engine answers.
    """
    if name == "remote":
        raise ConfigurationError(
            "launcher 'remote' is reserved and not built yet; allowed: auto, docker, venv"
        )
    if name not in ("auto", *launchers):
        raise ConfigurationError(f"unknown launcher {name!r}; allowed: auto, docker, venv")
    if name == "docker" and settings.environments:
        raise ConfigurationError("--env adopts environments under --launcher venv only, not under docker")
    if (name == "venv" or settings.environments) and settings.exchange.asked:
        raise ConfigurationError(
            f"{settings.exchange.asked} is for images of --launcher docker; environments have none"
        )
    if name == "auto" and settings.exchange.asked:
        sentence = f"launcher docker: {settings.exchange.asked} is for images"
        return Choice(launcher=launchers["docker"](settings), sentence=sentence)
    if name != "auto":
        return Choice(launcher=launchers[name](settings), sentence=f"launcher {name}: asked for")
    return _automatic(settings, launchers)


def _automatic(settings: LaunchSettings, launchers: Mapping[str, Opener]) -> Choice:
    if settings.environments:
        return Choice(
            launcher=launchers["venv"](settings), sentence="launcher venv: environments are adopted (--env)"
        )
    try:
        launcher = launchers["docker"](settings)
    except EngineUnavailableError as error:
        return Choice(launcher=launchers["venv"](settings), sentence=f"launcher venv: {error}")
    return Choice(
        launcher=launcher,
        sentence="launcher docker: a Docker Engine answers, so every runtime is sealed in a container",
    )
