"""How often a judge CLIP recognises the prompt of a drawn picture."""
