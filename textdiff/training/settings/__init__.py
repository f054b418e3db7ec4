"""Settings of each training command; nothing heavy is imported here."""
