"""Benchmarks: scripts that print ratios, each against a plain way on the same machine in the same run."""
