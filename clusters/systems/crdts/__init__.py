"""Replicated data types as sets of entries that are joined one by one, and how they go wrong.

``datatypes`` has the types, ``planted`` the same with a bug each, ``objects`` what a replica holds.
"""
