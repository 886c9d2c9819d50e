"""From attempts to figures with intervals, and their export."""
