"""Will it fit, how long will it take: one real step, measured small, and carried on to the rest."""
