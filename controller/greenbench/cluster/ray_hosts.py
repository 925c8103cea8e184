"""Hosts as nodes of a Ray cluster: the only module that knows Ray."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from greenbench.cluster.agent import Heard, HostAgent, Programs
from greenbench.cluster.card import HostCard
from greenbench.cluster.engine import Host
from greenbench.cluster.shards import HostLostError
from greenbench.core.errors import ConfigurationError, FleetError

RESOURCE = "greenbench_host"
"""The custom resource of which each host has one, so that nothing else of ours runs beside a window."""
LABELS = ("greenbench/gpu-model", "ray.io/accelerator-type")
"""Node labels that name a host's model, the first that is set."""
ANSWER_S, CARD_S, COLLECT_S = 30.0, 180.0, 600.0
"""How long a host may take to answer before it is given up."""
AGAIN_S = 10.0
"""How long a node that was given up is left alone."""


def _import_ray() -> Any:
    # An extra that most installations do not have.
    try:
        import ray  # noqa: PLC0415
    except ImportError as err:
        raise ConfigurationError("--engine ray needs Ray: pip install 'greenbench[ray]'") from err
    return ray


class RayHost:
    """One node that has the resource, with our agent on it."""

    def __init__(self, ray: Any, node: dict[str, Any], programs: Programs, answer_s: float) -> None:
        """Place the agent on its node; nothing is waited for."""
        self.name = f"{node['NodeManagerHostname']}-{node['NodeID'][:8]}"
        self.label = next((node["Labels"][name] for name in LABELS if node["Labels"].get(name)), None)
        self.node_id = str(node["NodeID"])
        self._ray = ray
        self._answer_s = answer_s
        strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(self.node_id, soft=False)
        actor = ray.remote(num_cpus=0, resources={RESOURCE: 1}, max_restarts=0)(HostAgent)
        self._agent = actor.options(scheduling_strategy=strategy).remote(programs)

    def card(self, suite: str, launcher: str, device: str) -> HostCard:
        """Return what the host says of itself."""
        return HostCard(**self._ask("card", suite, launcher, device, within_s=CARD_S))

    def start(self, suite: str, options: tuple[str, ...]) -> None:
        """Start measuring."""
        self._ask("start", suite, options)

    def hear(self) -> Heard:
        """Return what is new."""
        heard: Heard = self._ask("hear")
        return heard

    def collect(self) -> bytes:
        """Return the finished run's folder as a tar archive."""
        archive: bytes = self._ask("collect", within_s=COLLECT_S)
        return archive

    def end(self) -> None:
        """Kill the agent, and with it the controller."""
        self._ray.kill(self._agent, no_restart=True)

    def _ask(self, method: str, *values: object, within_s: float | None = None) -> Any:
        within_s = within_s or self._answer_s
        try:
            return self._ray.get(getattr(self._agent, method).remote(*values), timeout=within_s)
        except self._ray.exceptions.GetTimeoutError as err:
            raise HostLostError(f"{self.name} did not answer {method!r} in {within_s:.0f} s") from err
        except self._ray.exceptions.RayError as err:
            raise HostLostError(f"{self.name} is gone: {' '.join(str(err).split())[:200]}") from err


class RayHosts:
    """The nodes of a cluster that have the resource."""

    def __init__(self, ray: Any, programs: Programs, answer_s: float = ANSWER_S) -> None:
        """Take a connected Ray."""
        self._ray = ray
        self._programs = programs
        self._answer_s = answer_s
        self._head = str(ray.get_runtime_context().gcs_address)
        self._head_seen_s = time.monotonic()
        self._known: dict[str, RayHost] = {}
        self._given_up_s: dict[str, float] = {}

    def arrived(self) -> Iterator[Host]:
        """Yield a host for each node that is new, or was given up a while ago and is still in the cluster.

        Raises:
            FleetError: The head has not answered for as long as a host may be silent.
        """
        if not self._head_answers():
            return
        for node in self._ray.nodes():
            name = str(node["NodeID"])
            if not node["Alive"] or not node["Resources"].get(RESOURCE) or name in self._known:
                continue
            if time.monotonic() - self._given_up_s.get(name, -AGAIN_S) < AGAIN_S:
                continue
            self._known[name] = RayHost(self._ray, node, self._programs, self._answer_s)
            yield self._known[name]

    def abandon(self, host: Host) -> None:
        """Kill a host's agent; the node may come back."""
        for name, known in list(self._known.items()):
            if known is host:
                known.end()
                del self._known[name]
                self._given_up_s[name] = time.monotonic()

    def end(self) -> None:
        """Kill every agent, and with it what is still measured; without a head their nodes end them."""
        if _unreachable(self._head):
            return
        for host in self._known.values():
            host.end()

    def _head_answers(self) -> bool:
        # Ray itself waits a minute for its head, uninterrupted, and then ends this process.
        why = _unreachable(self._head)
        if not why:
            self._head_seen_s = time.monotonic()
            return True
        silent_s = time.monotonic() - self._head_seen_s
        if silent_s > self._answer_s:
            raise FleetError(
                f"the Ray head at {self._head} is silent for {silent_s:.0f} s ({why}); measured blocks "
                "are kept: start it and its hosts again, and go on with --engine ray --resume"
            )
        return False


@contextmanager
def ray_hosts(
    address: str | None, programs: Programs | None = None, *, answer_s: float = ANSWER_S
) -> Iterator[RayHosts]:
    """Connect to a cluster.

    Args:
        address: ``HOST:PORT`` of its head; None for the cluster that this machine is part of.
        programs: What is run on hosts; other ones in tests.
        answer_s: How long a host may take to answer before it is given up, seconds.

    Raises:
        ConfigurationError: Ray is not installed, or no head answers.
    """
    ray = _import_ray()
    if address:
        _check_answers(address)
    try:
        ray.init(
            address=address or "auto", log_to_driver=False, logging_level="ERROR", configure_logging=True
        )
    except (ConnectionError, RuntimeError, ValueError) as err:
        reason = " ".join(str(err).split())[:200]
        raise ConfigurationError(
            f"no Ray cluster at {address or 'this machine'}: {reason}; `ray start --head` makes one"
        ) from err
    hosts = RayHosts(ray, programs or Programs(), answer_s)
    try:
        yield hosts
    finally:
        hosts.end()
        ray.shutdown()


def _check_answers(address: str) -> None:
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if not parts.hostname or port is None:
        raise ConfigurationError(f"--address {address!r} is not HOST:PORT, such as 10.0.0.1:6379")
    if why := _unreachable(f"{parts.hostname}:{port}"):
        raise ConfigurationError(
            f"--address {address}: no Ray head answers ({why}); `ray start --head` starts one"
        )


def _unreachable(address: str) -> str:
    """Return why nothing accepts connections at ``HOST:PORT``; empty where something does."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except OSError as err:
        return str(err.strerror or err)
    return ""
