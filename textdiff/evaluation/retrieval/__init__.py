"""Retrieval of a CLIP on captioned images."""
