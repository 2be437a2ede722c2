"""A static check of orchestrator functions: what they must not do because their code is replayed."""
