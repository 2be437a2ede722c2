"""One file per pattern; each can be read alone."""
