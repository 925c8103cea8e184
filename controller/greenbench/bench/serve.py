"""`greenbench serve`: one runtime, loaded, in the foreground."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from greenbench.bench.context import Context
from greenbench.bench.inputs import batch
from greenbench.bench.planning import make_plan
from greenbench.bench.prepared import need_models
from greenbench.core.errors import ConfigurationError
from greenbench.core.suite import Suite
from greenbench.fleet.certificates import server_context
from greenbench.fleet.launcher import died
from greenbench.fleet.lease import StateLease
from greenbench.fleet.proxy import TcpProxy, parse_endpoint, split_endpoint
from greenbench.fleet.tls_proxy import TlsProxy


def serve_runtime(
    context: Context,
    runtime: str,
    suite: Suite,
    *,
    address: str | None,
    certs: Path | None = None,
    say: Callable[[str], None],
) -> None:
    """Start a runtime, load one model, and serve until interrupted.

    Args:
        context: The host's launcher and state.
        runtime: Which.
        suite: Names one model and batch size.
        address: Where clients connect; None for the runtime's own Unix socket. ``HOST:PORT`` and other
            ``unix:`` paths are a proxy on this host.
        certs: Folder of `greenbench certs`: ``HOST:PORT`` then asks clients for a certificate (mutual TLS),
            and may be reached from other hosts. None: loopback only.
        say: Tells the user where it serves.

    Raises:
        ConfigurationError: The cell cannot run here, or the address cannot be used.
        RuntimeDiedError: The runtime ended by itself.
    """
    check_address(address, certs)
    if runtime not in context.catalogue:
        raise ConfigurationError(f"unknown runtime {runtime!r}; known: {', '.join(context.catalogue)}")
    matrix = suite.matrix.model_copy(update={"runtime": (runtime,)})
    plan = make_plan(suite.model_copy(update={"matrix": matrix}), context.catalogue, context.view, seed=0)
    if not plan.cells:
        raise ConfigurationError(plan.left_out[0].reason)
    cell = plan.cells[0]
    need_models(context.house, plan)
    with (
        StateLease(context.state, purpose=f"greenbench serve {runtime}"),
        context.house.running(runtime, cell.mode) as running,
        _door(address, running.instance.address, certs) as served,
    ):
        context.house.load(running, cell)
        load = cell.workload
        running.client.stage(batch(load.model, load.batch_size, load.sequence_length))
        say(f"{cell.cell_id} is served at {served}; Ctrl-C ends it")
        waiter = threading.Event()
        while not waiter.wait(0.5):
            state = running.instance.exit_state()
            if state is not None:
                raise died(running.instance, state, during="serving")


def check_address(address: str | None, certs: Path | None) -> None:
    """Refuse an address before anything is started for it.

    Raises:
        ConfigurationError: Not on loopback without certificates, malformed, or certificates without TCP.
    """
    if address is None or address.startswith("unix:"):
        if certs is not None:
            raise ConfigurationError("--certs goes with --address HOST:PORT; a Unix socket needs none")
    elif certs is None:
        parse_endpoint(address)
    else:
        split_endpoint(address)
        server_context(certs)


@contextmanager
def _door(address: str | None, inner: str, certs: Path | None) -> Iterator[str]:
    """Open the address that clients were promised onto a runtime's own socket; yields where that is."""
    target = Path(inner.removeprefix("unix:"))
    if address is None:
        yield inner
    elif address.startswith("unix:"):
        path = Path(address.removeprefix("unix:")).absolute()
        if path.exists() or path.is_symlink():
            raise ConfigurationError(f"--address {address}: {path} is already there; name another path")
        path.symlink_to(target)
        try:
            yield f"unix:{path}"
        finally:
            path.unlink(missing_ok=True)
    elif certs is not None:
        with TlsProxy(address, target, server_context(certs)) as door:
            yield f"{door.address} (mutual TLS)"
    else:
        with TcpProxy(address, target) as proxy:
            yield proxy.address
