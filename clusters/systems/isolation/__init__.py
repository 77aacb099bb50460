"""How the transactional store keeps each of its promises: locks, versions, and the levels.

``levels`` has one class for each textbook way to isolate transactions, ``promises`` the table from
the name of a consistency model to the level and to what else is relaxed, ``primary`` the node that
runs transactions, ``parallel`` the replicas of parallel snapshot isolation.
"""
