"""Data attribution: how much training on each sample lowers the loss of each anchor's query items."""
