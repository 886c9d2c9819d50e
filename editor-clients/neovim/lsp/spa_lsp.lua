-- Neovim >= 0.11 reads this for `vim.lsp.enable('spa_lsp')`.
return require('spa_lsp.life').client_config()
