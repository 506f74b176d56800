"""Runs that are ended by signals at bad moments, resumed, and compared with a run that nothing disturbs."""
