"""What processes see of each other's writes: causal consistency, sessions, and weak isolation."""

from checkers.causal.checker import Causal

__all__ = ["Causal"]
