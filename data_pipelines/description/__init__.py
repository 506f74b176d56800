"""What is in a trajectory store: cohort, splits, missingness, token lengths, labels."""
