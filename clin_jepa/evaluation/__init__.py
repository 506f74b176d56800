"""Evaluation of a trained run: pure functions of tensors and tables, and the files that show their figures."""
