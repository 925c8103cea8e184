"""The ``venv`` launcher: a virtual environment and a process per runtime, where no engine answers."""

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from greenbench.core.errors import BuildError, NotBuiltError
from greenbench.core.progress import Observer
from greenbench.core.runtime import RuntimeSpec
from greenbench.fleet.build_inputs import file_hash
from greenbench.fleet.build_log import failing_line
from greenbench.fleet.catalog import device_build
from greenbench.fleet.inventory import (
    INVENTORY_SCRIPT,
    Inventory,
    check_device,
    load_build,
    parse_inventory,
    save_build,
)
from greenbench.fleet.launcher import Build, LaunchSettings
from greenbench.fleet.logged_command import Outcome, run_logged
from greenbench.fleet.pip_settings import read_pip_settings
from greenbench.fleet.process import ProcessInstance, reap_leftover, runtime_environment

_COMPLETE = "greenbench-build.json"
_NEEDED = "grpcio>=1.76, grpcio-health-checking, grpcio-reflection, protobuf>=6.31.1 and numpy"
_COMPATIBLE_SCRIPT = (
    "import numpy, grpc, grpc_health.v1.health_pb2_grpc, grpc_reflection.v1alpha.reflection; "
    "import greenbench_wire.benchmark_pb2_grpc, greenbench_wire.inference_pb2_grpc"
)


class VenvLauncher:
    """Builds environments with the host's Python and pip; see `launcher.Launcher`."""

    name = "venv"

    def __init__(self, settings: LaunchSettings) -> None:
        """Use a state folder; nothing is made before `build`."""
        self._settings = settings
        self._state = settings.state

    def build(self, runtime: RuntimeSpec, device: str, observer: Observer) -> Build:
        """Install the runtime's lock file into an environment of its own, or find that one stands."""
        begun_s = time.monotonic()
        self._state.create()
        adopted = self._settings.environments.get(runtime.name)
        if adopted is not None:
            return self._adopt(runtime, device, adopted, begun_s)
        standing = self.built(runtime, device)
        if standing is not None:
            self._check_compatible(runtime, self._python(runtime, device))
            return replace(standing, reused=True, elapsed_s=time.monotonic() - begun_s, notes=())
        return self._install(runtime, device, observer, begun_s)

    def built(self, runtime: RuntimeSpec, device: str) -> Build | None:
        """Return the facts of the environment of this lock file and Python; None where it isn't whole."""
        adopted = self._settings.environments.get(runtime.name)
        if adopted is not None:
            return load_build(self._adoption(runtime, device), identity=str(adopted))
        folder = self._folder(runtime, device)
        return load_build(folder / _COMPLETE, identity=self._lock_hash(runtime, device))

    def start(self, runtime: RuntimeSpec, device: str) -> ProcessInstance:
        """Start the server in the environment that `build` made."""
        build = self.built(runtime, device)
        if build is None:
            how = f"greenbench up {runtime.name} --launcher venv --device {device}{self._as_adopted(runtime)}"
            raise NotBuiltError(
                f"{runtime.name} has no environment for {device} of this lock file; run `{how}`"
            )
        reap_leftover(self._state, runtime.name)
        self._state.prepare_run(runtime.name)
        return ProcessInstance(
            self._server_command(runtime, device),
            build=build,
            state=self._state,
            environment=self._environment(runtime, device),
        )

    def _as_adopted(self, runtime: RuntimeSpec) -> str:
        python = self._settings.environments.get(runtime.name)
        return f" --env {runtime.name}={python}" if python else ""

    def end_leftovers(self) -> tuple[str, ...]:
        """End servers whose notes are in this state folder; name their runtimes."""
        names = [folder.name for folder in sorted(self._state.root.glob("run/*"))]
        return tuple(name for name in names if reap_leftover(self._state, name))

    def down(self, *, images: bool) -> tuple[str, ...]:
        """Stop what was left running; remove the run folders and, if asked, the environments."""
        stopped = self.end_leftovers()
        shutil.rmtree(self._state.root / "run", ignore_errors=True)
        removed = sorted(self._state.venvs.glob("*")) if images else []
        for folder in removed:
            shutil.rmtree(folder)
        return (
            *(f"stopped {name}, left by a controller that is gone" for name in stopped),
            *(f"removed environment {folder.name}" for folder in removed),
        )

    def _install(self, runtime: RuntimeSpec, device: str, observer: Observer, begun_s: float) -> Build:
        folder, log_path = self._folder(runtime, device), self._log(runtime, device)
        # Without its closing record an environment is half of one. It is built in place, because its
        # programs hold its path.
        shutil.rmtree(folder, ignore_errors=True)
        log_path.unlink(missing_ok=True)
        observer.step(f"making the environment of {runtime.name} for {device}")
        notes, index = self._source(runtime, device)
        self._run(runtime, log_path, observer, sys.executable, "-m", "venv", str(folder))
        python = self._python(runtime, device)
        pip = (str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check")
        self._run(runtime, log_path, observer, *pip, *index, "-r", str(self._lock(runtime, device)))
        self._check_compatible(runtime, python)
        identity, held = self._lock_hash(runtime, device), self._inventory(python)
        check_device(held, device, source=f"the environment of {runtime.name}")
        build = self._facts(runtime, device, identity=identity, held=held, begun_s=begun_s, notes=notes)
        save_build(build, folder / _COMPLETE)
        return build

    def _facts(
        self,
        runtime: RuntimeSpec,
        device: str,
        *,
        identity: str,
        held: Inventory,
        begun_s: float,
        notes: tuple[str, ...],
    ) -> Build:
        adopted = runtime.name in self._settings.environments
        return Build(
            runtime=runtime.name,
            device=device,
            launcher=self.name,
            identity=identity,
            requirements_sha256=None if adopted else identity,
            python=held.python,
            packages=held.packages,
            log_path=None if adopted else self._log(runtime, device),
            reused=adopted,
            elapsed_s=time.monotonic() - begun_s,
            notes=notes,
        )

    def _adopt(self, runtime: RuntimeSpec, device: str, python: Path, begun_s: float) -> Build:
        self._check_compatible(runtime, python)
        notes = (f"{runtime.name}: the environment of {python} is adopted, nothing is installed into it",)
        held = self._inventory(python)
        check_device(held, device, source=f"the environment of {python}")
        build = self._facts(runtime, device, identity=str(python), held=held, begun_s=begun_s, notes=notes)
        save_build(build, self._adoption(runtime, device))
        return build

    def _source(self, runtime: RuntimeSpec, device: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What is said about where packages come from, and pip's options for it."""
        extra = device_build(runtime, device).extra_index_url
        if extra is None:
            return (), ()
        if read_pip_settings().names_a_source:
            note = "pip: the host's configuration names an index or find-links, so the catalogue's"
            return (f"{note} index {extra} is not used",), ()
        return (f"pip: index {extra} beside the default one",), ("--extra-index-url", extra)

    def _run(self, runtime: RuntimeSpec, log_path: Path, observer: Observer, *command: str) -> Outcome:
        outcome = run_logged(
            command,
            log_path=log_path,
            environment={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            heard=lambda line: observer.step(f"{runtime.name}: {line[:160]}"),
        )
        if outcome.status:
            reason = f"{failing_line(outcome.lines)} (log: {log_path})"
            raise BuildError(
                f"making the environment of {runtime.name} failed: {reason}", log_path=str(log_path)
            )
        return outcome

    def _check_compatible(self, runtime: RuntimeSpec, python: Path) -> None:
        answer = self._asked(runtime, python, _COMPATIBLE_SCRIPT)
        if answer.returncode:
            said = (answer.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise BuildError(
                f"the environment of {python} cannot serve {runtime.name}: {said}; it needs {_NEEDED}"
            )

    def _inventory(self, python: Path) -> Inventory:
        answer = subprocess.run(
            [str(python), "-c", INVENTORY_SCRIPT], capture_output=True, text=True, check=False
        )
        return parse_inventory(answer.stdout, source=str(python))

    def _asked(self, runtime: RuntimeSpec, python: Path, script: str) -> subprocess.CompletedProcess[str]:
        environment = runtime_environment(self._settings, device="cpu")
        try:
            return subprocess.run(
                [str(python), "-c", script], capture_output=True, text=True, check=False, env=environment
            )
        except OSError as error:
            raise BuildError(
                f"the Python of {runtime.name}, {python}, cannot be run: {error.strerror}; "
                f"name an existing one with --env {runtime.name}=PYTHON"
            ) from error

    def _environment(self, runtime: RuntimeSpec, device: str) -> Mapping[str, str]:
        environment = dict(runtime_environment(self._settings, device=device))
        if runtime.name in self._settings.environments:
            # Nothing is written into what is adopted, and it may come without bytecode: a framework would be
            # compiled anew for every load.
            del environment["PYTHONDONTWRITEBYTECODE"]
            environment["PYTHONPYCACHEPREFIX"] = str(self._state.bytecode)
        return environment

    def _server_command(self, runtime: RuntimeSpec, device: str) -> tuple[str, ...]:
        python = self._settings.environments.get(runtime.name) or self._python(runtime, device)
        address, outbox = self._state.address(runtime.name), self._state.outbox(runtime.name)
        served = ("--engine", runtime.engine, "--address", address, "--device", device)
        places = ("--models", str(self._state.models), "--outbox", str(outbox))
        return (str(python), "-m", "greenbench_runtime", *served, *places)

    def _lock(self, runtime: RuntimeSpec, device: str) -> Path:
        return self._settings.assets / "docker" / "requirements" / device_build(runtime, device).requirements

    def _lock_hash(self, runtime: RuntimeSpec, device: str) -> str:
        return file_hash(self._lock(runtime, device))

    def _folder(self, runtime: RuntimeSpec, device: str) -> Path:
        tag = f"{self._lock_hash(runtime, device)[:12]}-py{platform.python_version()}"
        return self._state.venvs / f"{runtime.name}-{device}-{tag}"

    def _python(self, runtime: RuntimeSpec, device: str) -> Path:
        return self._folder(runtime, device) / "bin" / "python"

    def _adoption(self, runtime: RuntimeSpec, device: str) -> Path:
        return self._state.builds / f"adopted-{runtime.name}-{device}.json"

    def _log(self, runtime: RuntimeSpec, device: str) -> Path:
        return self._state.logs / f"install-{runtime.name}-{device}.log"
