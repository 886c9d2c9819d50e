"""Who may use the network: nobody, except the child processes of `models pull`."""

import os

_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TQDM_DISABLE": "1",  # bars of other packages; ours are in progress.py
}


def go_offline() -> None:
    """Keep this process and its children off the hub, and other packages' bars off the screen.

    Call it before transformers or bitsandbytes is imported: they read the environment when they are.
    What the environment already says is kept.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def online_environment() -> dict[str, str]:
    """Environment for a child process that may reach the hub; telemetry stays off."""
    return os.environ | {
        "HF_HUB_OFFLINE": "0",
        "TRANSFORMERS_OFFLINE": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
    }
