"""Runnable measurements; ``python -m benchmarks`` prints the table that ``make bench`` shows."""
