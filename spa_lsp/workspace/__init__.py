"""What a workspace says of its files: which are ignored, what Git knows."""
