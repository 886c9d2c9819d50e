"""Samples: reading them, and the training items that are cut from them."""
