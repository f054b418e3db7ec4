"""How near a prior's embeddings come to those of the images that captions describe."""
