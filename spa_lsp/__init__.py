"""Language server that offers k alternative completions from k LoRA adapters on one base, offline."""

__version__ = "0.1.0"
