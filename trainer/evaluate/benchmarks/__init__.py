"""The benchmarks, one file a family, all as `Problem`. Their data is the user's; nothing of it is in this project."""
