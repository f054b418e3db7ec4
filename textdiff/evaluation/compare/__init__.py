"""Two files of numbers of one evaluation: what differs between them, in pairs."""
