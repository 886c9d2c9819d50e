"""From influence to k parts, and how much they can be trusted. Pure numpy: no rows, no models."""
