"""From a trajectory store on disk to batches: reader, tokens, windows, latent cache, DataModule."""
