"""What the encoder says of the latents of a picture.

    q(z|x) = N(mean, exp(logvar)), every dimension by itself        p(z) = N(0, I)

    KL(q || p) = sum (mean^2 + exp(logvar) - 1 - logvar) / 2
    z = mean + exp(logvar / 2) eps,   eps ~ N(0, I)

Kingma & Welling, "Auto-Encoding Variational Bayes" (arXiv 1312.6114), section 2.4 and appendix B.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from textdiff.types import PerSample, Samples

# of the logarithm of a variance, as diffusers' DiagonalGaussianDistribution has them
LOWEST, HIGHEST = -30.0, 20.0


@dataclass(frozen=True)
class Posterior:
    """mean, logvar: (B, ...), of one shape; logvar is the logarithm of the variance."""

    mean: Samples
    logvar: Samples

    @staticmethod
    def of_output(output: Tensor) -> Posterior:
        """From what an encoder puts out: (B, 2C, ...), the second half log-variances. In fp32, so
        that exp stays in range."""
        mean, logvar = output.float().chunk(2, dim=1)
        return Posterior(mean, logvar.clamp(LOWEST, HIGHEST))

    def sample(self, eps: Samples) -> Samples:
        """z, with a gradient to both moments; eps: standard normal, of their shape."""
        return self.mean + (0.5 * self.logvar).exp() * eps

    def kl_per_element(self) -> Samples:
        """To N(0, 1), in nats."""
        return 0.5 * (self.mean.square() + self.logvar.exp() - 1 - self.logvar)

    def kl(self) -> PerSample:
        """To N(0, I), in nats, summed over all dimensions of a sample."""
        return self.kl_per_element().flatten(1).sum(1)
