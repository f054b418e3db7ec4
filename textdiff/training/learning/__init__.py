"""Whether a training learns: errors beside references, text, average, one batch, and in words."""
