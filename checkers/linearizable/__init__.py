"""Whether a concurrent history has a legal order that agrees with real time.

One module for each step: :mod:`.registers` (columns of register operations), :mod:`.zones` and
:mod:`.search` (the procedures), :mod:`.witness` (the smallest proof), :mod:`.explain` (its name
and sentence), :mod:`.checker` (which procedure decides what, and the verdict).
"""

from checkers.linearizable.checker import Linearizable

__all__ = ["Linearizable"]
