"""Queues, tables and blobs: three primitives that know nothing durable."""
