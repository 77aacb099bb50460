"""What is under test, and where it lives."""
