"""CLIP embeddings of a data set, for trainings that read no pictures."""
