"""The loops that turn messages into episodes and checkpoints."""
