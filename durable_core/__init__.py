"""The Durable Functions runtime in pure Python."""
