"""Child process of what downloads: `python -m spa_lsp.bases.hub_download REPO FILE REVISION FOLDER [dataset]`."""

import socket
import sys
import urllib.request
from urllib.parse import urlsplit

_REACH_S = 5.0


def download(repo: str, file: str, revision: str, folder: str, kind: str | None = None) -> None:
    """Download one file of a hub repository into `folder`; a broken download there is taken up.

    `kind` is `dataset`, or None for a model.
    """
    from huggingface_hub import constants, hf_hub_download

    if not urllib.request.getproxies():  # without this check, hf_hub_download goes on trying for half a minute
        _reach(constants.ENDPOINT)
    hf_hub_download(repo, file, revision=revision, local_dir=folder, repo_type=kind)


def _reach(endpoint: str) -> None:
    url = urlsplit(endpoint)
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        socket.create_connection((url.hostname or "", port), timeout=_REACH_S).close()
    except OSError as error:
        sys.exit(f"{url.netloc} cannot be reached: {error}")


if __name__ == "__main__":
    download(*sys.argv[1:])
