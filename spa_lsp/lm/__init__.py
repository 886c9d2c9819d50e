"""The language model: bases, adapters and decoding. The only folder of spa_lsp that imports torch."""
