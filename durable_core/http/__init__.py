"""The management API: request in, response out, whatever host carries it."""
