"""Samples made here, by the local base, from a person's own code or from packages that may be used so."""
