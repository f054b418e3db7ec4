"""DDIM inversion: pictures to noise and back, and how far off they come out."""
