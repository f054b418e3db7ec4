"""The contrastive loss of CLIP and of SigLIP, dense or in tiles, over one process or many."""
