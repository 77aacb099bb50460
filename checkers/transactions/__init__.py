"""Transactions: what a history of reads, writes and appends says of isolation."""
