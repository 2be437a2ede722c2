"""The layout of a task hub: what is called what, and how it is written."""
