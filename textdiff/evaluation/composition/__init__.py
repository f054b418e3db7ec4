"""Whether pictures show what their prompts say: seen and unseen combinations, read exactly."""
