"""A deterministic world in one process: virtual time, network, disks, clocks, nodes."""
