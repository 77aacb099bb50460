"""Small services on one node (a queue, logs, locks), and a generator of ids on all: each correct,
and each with planted bugs by name."""
