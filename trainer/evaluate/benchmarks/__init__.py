"""The benchmarks, one file a family, all as `Problem`. Their data is the user's but for `gaps/`."""
