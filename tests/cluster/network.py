"""Hosts of a network on one machine: namespaces joined by a bridge in a namespace of its own (needs root)."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SUBNET = "10.231.77"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Network:
    """Namespaces with one cable each. Nothing of it is seen from outside."""

    def __init__(self, hosts: int) -> None:
        """Lay the cables."""
        self._switch = f"gb{os.getpid()}s"
        self.hosts = [f"gb{os.getpid()}h{number}" for number in range(hosts)]
        _ip("netns", "add", self._switch)
        _ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self._switch, "link", "set", "bridge", "up")
        for number, host in enumerate(self.hosts):
            _ip("netns", "add", host)
            _ip(
                "-n",
                self._switch,
                "link",
                "add",
                f"port{number}",
                "type",
                "veth",
                "peer",
                "eth0",
                "netns",
                host,
            )
            _ip("-n", self._switch, "link", "set", f"port{number}", "master", "bridge", "up")
            _ip("-n", host, "address", "add", f"{self.address(number)}/24", "dev", "eth0")
            _ip("-n", host, "link", "set", "eth0", "up")
            _ip("-n", host, "link", "set", "lo", "up")

    def address(self, number: int) -> str:
        return f"{SUBNET}.{number + 1}"

    def plug(self, number: int, *, there: bool) -> None:
        """Pull a host's cable out at the switch, or put it back."""
        _ip("-n", self._switch, "link", "set", f"port{number}", "up" if there else "down")

    def inside(self, number: int, *command: str) -> list[str]:
        """Return a command as it is run on a host."""
        return ["ip", "netns", "exec", self.hosts[number], *command]

    def remove(self) -> None:
        for name in (*self.hosts, self._switch):
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", name)


@contextmanager
def network(hosts: int) -> Iterator[Network]:
    laid = Network(hosts)
    try:
        yield laid
    finally:
        laid.remove()
