"""Hosts: the standalone one behind `durable start`, and what runs inside the real one."""
