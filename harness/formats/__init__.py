"""Reading and writing histories."""
