"""A simulated network of named hosts: latency, loss, duplication, reordering and cut links.

Messages are independent datagrams that carry bytes, so what arrives is what JSON can carry and no
two nodes ever share an object. Since each message draws its own latency, messages overtake each
other. Links that touch a client are reliable and never cut, as for the clients of Jepsen and
Maelstrom.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from clusters.substrates.simulation.loop import VirtualTimeLoop

__all__ = ["LATENCIES", "Network", "NetworkOptions"]

Receiver = Callable[[str, bytes], None]

LATENCIES: dict[str, Callable[[random.Random, float], float]] = {
    "constant": lambda _, mean: mean,
    "uniform": lambda source, mean: 2 * mean * source.random(),
    "exponential": lambda source, mean: source.expovariate(1) * mean,
    # Pareto with shape 2.5: the mean is 5/3 of the scale, and the variance is finite.
    "heavy-tailed": lambda source, mean: mean * 0.6 * source.paretovariate(2.5),
}
"""Distributions by name: from a source of randomness and a mean (s) to a latency (s)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions:
    """``latency`` is a name of :data:`LATENCIES`; ``loss`` and ``duplication`` are probabilities
    for each message between nodes."""

    latency: str = "exponential"
    latency_s: float = 0.002
    loss: float = 0.0
    duplication: float = 0.0


class Network:
    """Carries bytes between named hosts. ``cut`` is the set of directed links that lose all."""

    def __init__(
        self, loop: VirtualTimeLoop, source: random.Random, options: NetworkOptions
    ) -> None:
        self.cut: frozenset[tuple[str, str]] = frozenset()
        self._loop = loop
        self._source = source
        self.options = options
        self._latency = LATENCIES[options.latency]
        self._receivers: dict[str, Receiver] = {}

    def attach(self, host: str, receiver: Receiver) -> None:
        """Deliver what is sent to ``host`` to ``receiver(source, payload)``."""
        self._receivers[host] = receiver

    def detach(self, host: str) -> None:
        """What is sent to ``host``, or under way to it, is lost."""
        self._receivers.pop(host, None)

    def send(self, source: str, dest: str, payload: bytes) -> None:
        """Send between nodes: subject to cuts, loss and duplication."""
        if (source, dest) in self.cut:
            return
        options, chance = self.options, self._source.random
        if options.loss and chance() < options.loss:
            return
        self.send_reliably(source, dest, payload)
        if options.duplication and chance() < options.duplication:
            self.send_reliably(source, dest, payload)

    def send_reliably(self, source: str, dest: str, payload: bytes) -> None:
        """Send to or from a client: subject to latency only."""
        delay = self._latency(self._source, self.options.latency_s)
        self._loop.post(delay, self._deliver, source, dest, payload)

    def _deliver(self, source: str, dest: str, payload: bytes) -> None:
        # A message that was under way when its link was cut is lost too, as on a real switch.
        if (source, dest) not in self.cut:
            receiver = self._receivers.get(dest)
            if receiver is not None:
                receiver(source, payload)
