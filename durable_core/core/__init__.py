"""Sans-I/O engine: history in, decisions out. No await, no clock, no storage."""
