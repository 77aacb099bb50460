"""Named random streams: the same everywhere, and independent of each other."""

from __future__ import annotations

import os
import subprocess
import sys

from harness.core.random import Streams

PROGRAM = "from harness.core.random import Streams; print(Streams(7).stream('a').getrandbits(64))"


def test_a_stream_depends_on_seed_and_name_only() -> None:
    """Two processes with other hash seeds draw the same."""
    drawn = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            timeout=60,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert drawn == {str(Streams(7).stream("a").getrandbits(64)).encode()}


def test_streams_differ_by_name_and_by_seed() -> None:
    """Other names and other seeds give other draws, also where the texts run together."""
    streams = [Streams(1).stream("1/a"), Streams(11).stream("a"), Streams(1).stream("a")]
    assert len({stream.getrandbits(64) for stream in streams}) == 3


def test_drawing_from_one_stream_leaves_the_others_alone() -> None:
    """Each call gives a new generator at the start of its stream."""
    streams = Streams(3)
    first = streams.stream("a").random()
    streams.stream("b").random()
    assert streams.stream("a").random() == first
