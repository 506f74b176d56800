"""The plain way of doing the same, as a yardstick; used in benchmarks only."""
