"""From the settings of a training command to what is trained: a file for each."""
