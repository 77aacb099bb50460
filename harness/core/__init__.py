"""What every part of the project speaks of. No I/O, no wall clock, no global randomness."""
