"""Guidance compared: scales of CFG and of CLIP guidance, judged by CLIPs held out of both."""
