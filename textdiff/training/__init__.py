"""Training: one loop for every task. Inference never imports this room."""
