"""The settings: their fields and bounds, and the files they are read from."""
