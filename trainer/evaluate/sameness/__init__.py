"""When two completions are the same: four levels, from the exact text to the approach."""
