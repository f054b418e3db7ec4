"""What a noised CLIP recognises at each timestep, beside a clean one."""
