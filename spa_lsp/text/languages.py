"""The languages by what editors and files call them. Data, and the look-ups in it; pure."""

from functools import cache

from spa_lsp.text.syntax import SYNTAXES, TEXT, Syntax

# Other names of theirs: of VS Code, of Neovim (file types), of Emacs (modes, for eglot and lsp-mode), of Helix.
_NAMES = {
    "shellscript": "sh bash zsh ksh dash ash bats shell posix-shell bash-ts ebuild pkgbuild",
    "makefile": "make gnumake makefile-gmake makefile-bsdmake makefile-automake makefile-imake",
    "cpp": "c++ cc cxx c++-ts arduino",
    "c": "c-ts",
    "cuda-cpp": "cuda",
    "objective-c": "objc objectivec",
    "objective-cpp": "objcpp objectivecpp objective-c++",
    "csharp": "cs c-sharp c# csharp-ts",
    "glsl": "hlsl wgsl shaderlab",
    "javascript": "js js2 js3 js-ts javascript-ts ecmascript",
    "javascriptreact": "jsx js-jsx rjsx javascript.jsx",
    "typescript": "ts typescript-ts",
    "typescriptreact": "tsx tsx-ts typescript-tsx typescript.tsx",
    "python": "python3 py python-ts",
    "rust": "rs rustic rust-ts",
    "go": "golang go-ts",
    "java": "java-ts",
    "kotlin": "kotlin-ts kt",
    "ruby": "rb enh-ruby ruby-ts",
    "php": "php-ts",
    "lua": "luau lua-ts",
    "elixir": "elixir-ts ex",
    "haskell": "haskell-literate-program",
    "ocaml": "tuareg caml ocaml.interface ocamlinterface ocaml-interface",
    "fsharp": "f# fs",
    "clojure": "clojurescript clojurec fennel clojure-ts clj edn",
    "lisp": "emacs-lisp elisp common-lisp commonlisp lisp-interaction scheme racket guile",
    "r": "ess-r rlang",
    "julia": "julia-ts jl",
    "sql": "mysql plsql pgsql postgres sqlite tsql",
    "json": "json-ts js-json jsonl geojson ipynb",
    "jsonc": "json5 hjson jsonnet",
    "css": "css-ts postcss",
    "toml": "conf-toml toml-ts",
    "yaml": "yml yaml-ts dockercompose docker-compose github-actions-workflow helm ansible",
    "dockerfile": "docker dockerfile-ts",
    "terraform": "hcl tf terraform-vars packer nomad tfvars opentofu",
    "proto3": "proto protobuf",
    "powershell": "ps1 pwsh",
    "verilog": "systemverilog",
    "starlark": "bzl bazel",
    "gdscript": "gd",
    "graphql": "gql",
    "groovy": "jenkinsfile gradle",
    "cmake": "cmake-ts",
    "scala": "sbt scala-ts",
    "markdown": "gfm md mdx quarto rmd rmarkdown markdown-ts",
    "plaintext": "text txt plain fundamental plaintex",
    "latex": "tex latex-mode context",
    "asciidoc": "adoc asciidoctor doc-asciidoc",
    "bat": "dosbatch batch",
    "git-commit": "gitcommit git-commit-edit",
}
_CANONICAL = {other: language for language, others in _NAMES.items() for other in others.split()}

_SUFFIXES = {
    "python": "py pyi pyw",
    "shellscript": "sh bash zsh ksh",
    "fish": "fish",
    "ruby": "rb rake gemspec",
    "perl": "pl pm",
    "r": "r",
    "julia": "jl",
    "elixir": "ex exs",
    "erlang": "erl hrl",
    "toml": "toml",
    "yaml": "yaml yml",
    "json": "json",
    "jsonc": "jsonc",
    "javascript": "js mjs cjs",
    "javascriptreact": "jsx",
    "typescript": "ts mts cts",
    "typescriptreact": "tsx",
    "c": "c h",
    "cpp": "cc cpp cxx hh hpp hxx ino",
    "cuda-cpp": "cu cuh",
    "objective-c": "m",
    "objective-cpp": "mm",
    "csharp": "cs",
    "java": "java",
    "kotlin": "kt kts",
    "scala": "scala sc sbt",
    "groovy": "groovy gradle",
    "go": "go",
    "rust": "rs",
    "zig": "zig",
    "swift": "swift",
    "dart": "dart",
    "d": "d",
    "php": "php",
    "lua": "lua",
    "sql": "sql",
    "haskell": "hs",
    "elm": "elm",
    "ocaml": "ml mli",
    "fsharp": "fs fsi fsx",
    "clojure": "clj cljs cljc edn",
    "lisp": "el lisp cl scm rkt",
    "css": "css",
    "scss": "scss",
    "less": "less",
    "terraform": "tf tfvars hcl",
    "proto3": "proto",
    "powershell": "ps1 psm1",
    "nim": "nim",
    "nix": "nix",
    "vhdl": "vhd vhdl",
    "verilog": "v sv",
    "graphql": "graphql gql",
    "solidity": "sol",
    "gdscript": "gd",
    "starlark": "bzl bazel star",
    "cmake": "cmake",
    "makefile": "mk",
    "html": "html htm",
    "vue": "vue",
    "svelte": "svelte",
    "markdown": "md",
    "vb": "vb",
    "tcl": "tcl",
}
# what holds settings as often as programs
_DATA = frozenset(
    "css dockerfile fish graphql json jsonc less makefile nix powershell scss shellscript".split()
    + "sql terraform toml yaml".split()
)
_BY_SUFFIX = {suffix: language for language, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
_BY_NAME = {"makefile": "makefile", "gnumakefile": "makefile", "dockerfile": "dockerfile", "cmakelists.txt": "cmake"}


@cache
def canonical(language: str) -> str:
    """The LSP language id for what an editor calls a language; what is not known stays as it is."""
    name = language.strip().lower()
    for known in (name, name.partition(".")[0]):  # Neovim joins file types by dots: `yaml.ansible`
        if known in SYNTAXES or known in _CANONICAL:
            return _CANONICAL.get(known, known)
    return language


def syntax_of(language: str) -> Syntax:
    """What is known of a language, by any of its names."""
    return SYNTAXES.get(canonical(language), TEXT)


def language_of_name(name: str) -> str:
    """The LSP language id that a file's name suggests; empty when none does."""
    name = name.lower()
    return _BY_NAME.get(name) or _BY_SUFFIX.get(name.rpartition(".")[2] if "." in name else "", "")


def suffix_of(language: str) -> str:
    """The usual suffix of a file in a language, with its dot; empty when none is known."""
    suffixes = _SUFFIXES.get(canonical(language))
    return f".{suffixes.split()[0]}" if suffixes else ""


def is_source(path: str, language: str = "") -> bool:
    """Whether a file of this name is source code, in the language that its editor says it has."""
    name = path.rpartition("/")[2]
    if canonical(language) == "asciidoc":
        return name.lower().endswith(".asc")  # which are keys elsewhere
    suggested = language_of_name(name)
    is_code = suggested in SYNTAXES and suggested not in _DATA and not name.startswith(".")
    return is_code and (not language or canonical(language) == suggested)
