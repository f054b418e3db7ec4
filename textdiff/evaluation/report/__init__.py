"""One page that shows what a run learned: numbers, curves, pictures, and how to repeat it."""
