"""Adapter sets: their manifest, what must be true of their bytes, where they lie, how they are written and chosen."""
