"""From raw hospital tables to a trajectory store, in SQL that a clinician can read."""
