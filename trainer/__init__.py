"""Companion CLI: builds the adapters by SPA (Synthesize, Partition, Adapt), everything cached in SQLite."""
