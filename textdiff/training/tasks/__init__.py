"""Tasks: batch in, losses out. The loop knows none of them by name."""
