"""One table of languages: what each client calls them, what files are called."""

import pytest

from spa_lsp.text.languages import canonical, language_of_name, syntax_of


# issue 13: ids as the clients send them, from their own lists
@pytest.mark.parametrize(
    ("language", "names"),
    [
        ("shellscript", "shellscript sh bash zsh bash-ts"),  # VS Code and lsp-mode; Neovim; Helix; eglot
        ("makefile", "makefile make makefile-gmake makefile-bsdmake"),
        ("typescriptreact", "typescriptreact tsx tsx-ts typescript.tsx"),
        ("javascriptreact", "javascriptreact jsx javascript.jsx"),
        ("javascript", "javascript js js2 js-ts"),
        ("python", "python Python python-ts"),
        ("cpp", "cpp c++ c++-ts"),
        ("c", "c c-ts"),
        ("csharp", "csharp cs c-sharp"),
        ("objective-c", "objective-c objc"),
        ("rust", "rust rustic rust-ts"),
        ("yaml", "yaml yaml-ts yaml.ansible yaml.docker-compose dockercompose"),
        ("lisp", "lisp emacs-lisp scheme"),
        ("bat", "bat dosbatch"),
        ("git-commit", "git-commit gitcommit"),
        ("proto3", "proto3 proto protobuf"),
        ("terraform", "terraform hcl tf"),
        ("plaintext", "plaintext text"),
        ("latex", "latex tex"),
        ("made-up", "made-up"),
    ],
)
def test_what_a_client_calls_a_language_is_understood(language, names):
    assert {canonical(name) for name in names.split()} == {language}


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("a.py", "python"),
        ("B.TSX", "typescriptreact"),
        ("x.h", "c"),
        ("Dockerfile", "dockerfile"),
        ("go", ""),
        ("a.q", ""),
    ],
)
def test_a_file_s_name_tells_its_language(name, language):
    assert language_of_name(name) == language


def test_of_a_language_that_is_not_known_all_counts():
    assert not syntax_of("made-up").has_brackets and syntax_of("made-up").layout == "text"
