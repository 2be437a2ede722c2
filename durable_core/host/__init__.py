"""The standalone Functions host behind ``durable start``."""
