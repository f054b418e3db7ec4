"""Features of many pictures and captions: computed once, kept on disk, shared by evaluations."""
