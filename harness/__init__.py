"""splitbrain: a consistency checker and fault injector. The command is ``harness``."""

__version__ = "0.1.0"
