"""CLIP score of pictures and their prompts."""
