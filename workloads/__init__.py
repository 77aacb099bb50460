"""What clients do, and which checkers apply."""
