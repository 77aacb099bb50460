"""What a history proves, and what it refutes.

>>> from checkers import History, Recorder, assert_linearizable, check, models
"""

from checkers import models
from checkers.library import assert_linearizable, check
from checkers.recorder import Recorder
from harness.core.history import History

__all__ = ["History", "Recorder", "assert_linearizable", "check", "models"]
