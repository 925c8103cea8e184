"""Many hosts asked at once: one that does not answer keeps nobody else waiting."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from greenbench.cluster.shards import HostLostError

AT_ONCE = 64
"""Hosts that are asked at the same time; each takes a thread that only waits."""

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


def ask_all(
    hosts: Sequence[Asked], ask: Callable[[Asked], Answer]
) -> Iterator[tuple[Asked, Answer | HostLostError]]:
    """Yield each host with its answer, in the order given, or with why it has none.

    Args:
        hosts: Whom to ask.
        ask: Asks one of them, and may raise `HostLostError`.
    """

    def answer(host: Asked) -> Answer | HostLostError:
        try:
            return ask(host)
        except HostLostError as err:
            return err

    if hosts:
        with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(hosts))) as threads:
            yield from zip(hosts, threads.map(answer, hosts), strict=True)
