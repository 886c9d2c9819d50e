"""Who may use the network: nobody, except the child processes of `models pull`."""

import os

_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}


def go_offline() -> None:
    """Keep this process and its children off the hub; call it before transformers or bitsandbytes is imported.

    What the environment already says is kept.
    """
    for name, value in _OFFLINE.items():
        os.environ.setdefault(name, value)


def online_environment() -> dict[str, str]:
    """Environment for a child process that may reach the hub; telemetry stays off."""
    return os.environ | {
        "HF_HUB_OFFLINE": "0",
        "TRANSFORMERS_OFFLINE": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
    }
