"""How fast and how large the engine is, beside what others do with the same adapters; for `spa-lsp bench`."""
