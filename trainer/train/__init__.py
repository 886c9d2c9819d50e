"""Training: the loss, the loop over steps, and the stage that makes one adapter per part."""
