"""A data set as a training would meet it, on one page."""
