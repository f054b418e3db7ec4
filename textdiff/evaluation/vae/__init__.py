"""How faithful a VAE is to pictures, and how far its latents are from N(0, I)."""
