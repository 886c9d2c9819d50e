"""Whether a text holds a key or a password: our own forms, and those of the library detect-secrets.

Nothing is asked on a network, nothing is logged.

Left out of the library are its guesses by entropy, by the word `password` and of public addresses: on code they see
secrets in most files.
"""

from functools import cache
from typing import Any

from spa_lsp.text.postprocess.secret_text import has_secret

_DETECTORS = (
    "artifactory.ArtifactoryDetector",
    "aws.AWSKeyDetector",
    "azure_storage_key.AzureStorageKeyDetector",
    "cloudant.CloudantDetector",
    "discord.DiscordBotTokenDetector",
    "github_token.GitHubTokenDetector",
    "gitlab_token.GitLabTokenDetector",
    "ibm_cloud_iam.IbmCloudIamDetector",
    "ibm_cos_hmac.IbmCosHmacDetector",
    "jwt.JwtTokenDetector",
    "mailchimp.MailchimpDetector",
    "npm.NpmDetector",
    "openai.OpenAIDetector",
    "private_key.PrivateKeyDetector",
    "pypi_token.PypiTokenDetector",
    "sendgrid.SendGridDetector",
    "slack.SlackDetector",
    "softlayer.SoftlayerDetector",
    "square_oauth.SquareOAuthDetector",
    "stripe.StripeDetector",
    "telegram_token.TelegramBotTokenDetector",
    "twilio.TwilioKeyDetector",
)


def holds_secret(text: str) -> bool:
    """Whether a part of the text has the form of a secret; examples that documentation uses are none to our rules."""
    return has_secret(text) or any(True for detector in _detectors() for _ in detector.analyze_string(text))


@cache
def _detectors() -> list[Any]:
    from importlib import import_module  # they import requests, which takes a quarter of a second

    parts = (name.split(".") for name in _DETECTORS)
    return [getattr(import_module(f"detect_secrets.plugins.{module}"), name)() for module, name in parts]
