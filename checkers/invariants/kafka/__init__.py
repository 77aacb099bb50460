"""Logs like those of Kafka: what producers send, consumers get, in order, once.

``docs/kafka.md`` defines the events and the anomalies.
"""

from checkers.invariants.kafka.checker import Kafka

__all__ = ["Kafka"]
