-- What users call: `require('spa_lsp').setup{}` and a function per action.

local M = {}

--- Take the options and have the server started. May be called at any time, or not at all.
---@param options? spa_lsp.Config
function M.setup(options)
  for _, complaint in ipairs(require('spa_lsp.config').use(options)) do
    vim.notify('spa_lsp: ' .. complaint, vim.log.levels.WARN)
  end
  require('spa_lsp.keymaps').set()
  require('spa_lsp.display').reset()
  require('spa_lsp.life').enable()
end

--- Show the next alternative.
---@return boolean false: nothing is shown
function M.next() return require('spa_lsp.display').select(1) end

--- Show the previous alternative.
---@return boolean
function M.prev() return require('spa_lsp.display').select(-1) end

--- Insert the alternative that is shown.
---@return boolean
function M.accept() return require('spa_lsp.display').accept() end

--- Insert its next word.
---@return boolean
function M.accept_word() return require('spa_lsp.display').accept('word') end

--- Insert its next line.
---@return boolean
function M.accept_line() return require('spa_lsp.display').accept('line') end

--- Take it away.
---@return boolean
function M.dismiss() return require('spa_lsp.display').dismiss() end

--- Ask now.
---@return boolean false: completions are not offered here
function M.trigger() return require('spa_lsp.display').trigger() end

--- Show all alternatives in a window.
function M.panel() require('spa_lsp.panel').open() end

--- Whether completions are offered: everywhere, in this buffer, for its filetype.
---@param what? 'all'|'buffer'|'filetype'
function M.toggle(what)
  require('spa_lsp.toggles').flip(what)
  require('spa_lsp.display').refresh_all()
end

--- What a status line is to say of the current buffer, word by word.
---@return string
local function status()
  local bufnr = vim.api.nvim_get_current_buf()
  local server = require('spa_lsp.server')
  local client = server.client(bufnr)
  if not client then
    return ''
  end
  local shown = require('spa_lsp.display').current(bufnr)
  if shown then
    return require('spa_lsp.alternatives').title(shown.alternative, shown.place, shown.count) .. server.way_out(client)
  end
  if not require('spa_lsp.toggles').is_on(bufnr) then
    return 'spa: off'
  end
  local message = require('spa_lsp.refusal').of(bufnr)
  if message then
    return 'spa: ' .. message
  end
  local said = server.status[client.id]
  return 'spa: ' .. (said and said.state or 'ready') .. server.way_out(client)
end

--- For a status line: "2/5 · label" while something is shown, else why it serves nothing here or what the server does; '' where it does not run.
---@return string
function M.statusline()
  -- labels and rules are words of others, and in 'statusline' a % may run code: `%%` would be shown doubled in `%{}`
  return (status():gsub('%%', '％'))
end

return M
