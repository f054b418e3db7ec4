"""How the distribution of drawn pictures differs from that of real ones."""
