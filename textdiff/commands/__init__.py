"""One file per command: its settings, then load, build, call."""
