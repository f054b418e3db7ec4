"""Noise schedules compared: curves, and one picture under each."""
