"""Verdicts on completions: a trusted test outside, the candidate in the sandbox."""
