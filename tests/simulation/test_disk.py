"""The simulated disk: a crash takes a suffix of what was not synced, and nothing else."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from clusters.substrates.simulation.disk import SimulatedDisk

STEPS = st.lists(
    st.tuples(st.sampled_from(["append", "append", "begin", "end", "crash"]), st.integers(0, 1)),
    max_size=60,
)


@given(STEPS, st.integers(0, 2**32))
def test_what_was_synced_survives_in_order(steps: list[tuple[str, int]], seed: int) -> None:
    """After any crash a file is a prefix of what it was, and no shorter than what was synced."""
    disk = SimulatedDisk(random.Random(seed), 0.001)
    contents: dict[str, list[bytes]] = {"f0": [], "f1": []}
    durable = {"f0": 0, "f1": 0}
    syncing: dict[str, list[int]] = {"f0": [], "f1": []}
    for number, (act, at) in enumerate(steps):
        file = f"f{at}"
        if act == "append":
            record = str(number).encode()
            disk.append(file, record)
            contents[file].append(record)
        elif act == "begin":
            count, seconds = disk.begin_sync(file)
            assert count == len(contents[file])
            assert seconds >= 0
            syncing[file].append(count)
        elif act == "end" and syncing[file]:
            count = syncing[file].pop()  # syncs may end in another order than they began
            disk.end_sync(file, count)
            durable[file] = max(durable[file], count)
        elif act == "crash":
            disk.crash()
            for name, before in contents.items():
                after = list(disk.read(name))
                assert after == before[: len(after)], "a hole, or another order"
                assert len(after) >= durable[name], "a synced record is gone"
                contents[name], durable[name], syncing[name] = after, len(after), []
    for name, expected in contents.items():
        assert list(disk.read(name)) == expected


def test_a_crash_loses_anything_from_nothing_to_all() -> None:
    """Every length of the unsynced suffix occurs."""
    lengths = set()
    for seed in range(200):
        disk = SimulatedDisk(random.Random(seed), 0.001)
        for number in range(6):
            disk.append("f", bytes([number]))
        disk.end_sync("f", 2)
        disk.crash()
        lengths.add(len(disk.read("f")))
    assert lengths == {2, 3, 4, 5, 6}


def test_what_survived_a_crash_survives_the_next() -> None:
    """It was on the disk."""
    for seed in range(50):
        disk = SimulatedDisk(random.Random(seed), 0.001)
        for number in range(6):
            disk.append("f", bytes([number]))
        disk.crash()
        survivors = disk.read("f")
        disk.crash()
        assert disk.read("f") == survivors, f"seed {seed}"


def test_files_that_do_not_exist_are_empty() -> None:
    """Reading and syncing one is no error."""
    disk = SimulatedDisk(random.Random(1), 0.001)
    assert disk.read("f") == ()
    assert disk.begin_sync("f")[0] == 0
    disk.end_sync("f", 0)
    disk.crash()
