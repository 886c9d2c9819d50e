"""Bases: which are known, how their weights come onto this machine. Reading them into a model is `lm`'s."""
