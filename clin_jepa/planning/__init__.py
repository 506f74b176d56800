"""What a run will cost before anything runs: work, memory and time of each phase."""
