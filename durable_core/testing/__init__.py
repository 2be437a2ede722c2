"""Virtual time: the whole runtime on a clock that jumps instead of waiting."""
