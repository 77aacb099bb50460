"""Invariants of everyday objects: each is one property that a history keeps or breaks, with the
operations that prove it. ``docs/invariants.md`` has them in a table.

They ask for less than a linearizable object, and therefore see more: what an id generator, a queue,
a bank or a lock must never do, whatever its consistency model. All are linear, or a sort.
"""
