"""Likelihood: the variational bound in bits/dim, term by term."""
