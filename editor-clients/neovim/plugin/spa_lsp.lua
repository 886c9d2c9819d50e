-- Loaded at start: the command, the maps, the highlight groups; all else waits for the server.
if vim.g.loaded_spa_lsp or vim.fn.has('nvim-0.10') == 0 then
  return
end
vim.g.loaded_spa_lsp = true

local links = {
  SpaLspGhost = vim.fn.has('nvim-0.12') == 1 and 'ComplHint' or 'Comment',
  SpaLspHint = 'NonText',
  SpaLspPanelTitle = 'Title',
  SpaLspPanelDiff = 'DiffAdd',
}
for name, link in pairs(links) do
  vim.api.nvim_set_hl(0, name, { link = link, default = true })
end

vim.api.nvim_create_user_command('SpaLsp', function(command)
  require('spa_lsp.commands').run(command)
end, {
  nargs = '*',
  desc = 'spa_lsp: status, toggle, panel, ...',
  complete = function(lead, line)
    return require('spa_lsp.commands').complete(lead, line)
  end,
})

require('spa_lsp.keymaps').define_plugs()

local group = vim.api.nvim_create_augroup('spa_lsp', {})
vim.api.nvim_create_autocmd('LspAttach', {
  group = group,
  callback = function(event)
    local client = vim.lsp.get_client_by_id(event.data.client_id)
    if client and client.name == 'spa_lsp' then
      require('spa_lsp.keymaps').set() -- for `vim.lsp.enable('spa_lsp')` without `setup`
      require('spa_lsp.display').refresh(event.buf)
      require('spa_lsp.refusal').ask(event.buf)
    end
  end,
})
vim.api.nvim_create_autocmd({ 'LspDetach', 'BufUnload' }, {
  group = group,
  callback = function(event)
    local data = event.data
    local client = data and data.client_id and vim.lsp.get_client_by_id(data.client_id)
    if not client or client.name == 'spa_lsp' then
      require('spa_lsp.display').detach(event.buf)
      require('spa_lsp.refusal').forget(event.buf)
    end
  end,
})
-- a rule may have come or gone: an ignore file was written, here or elsewhere
vim.api.nvim_create_autocmd({ 'BufEnter', 'BufWritePost', 'FocusGained' }, {
  group = group,
  callback = function()
    local bufnr = vim.api.nvim_get_current_buf()
    if package.loaded['spa_lsp.server'] then
      require('spa_lsp.refusal').ask(bufnr)
    end
  end,
})
