-- Where completions are offered: everywhere, but for what the user switched off. Kept until Neovim ends.

local M = {}

---@type table<string, boolean>
M.off_filetypes = {}

---@param bufnr integer
---@return boolean
function M.is_on(bufnr)
  return vim.g.spa_lsp_enabled ~= false
    and vim.b[bufnr].spa_lsp_enabled ~= false
    and not M.off_filetypes[vim.bo[bufnr].filetype]
end

--- Turn around one switch; says what it is now.
---@param what? 'all'|'buffer'|'filetype'
---@return string
function M.flip(what)
  if what == 'buffer' then
    vim.b.spa_lsp_enabled = vim.b.spa_lsp_enabled == false
    return 'in this buffer ' .. M.word(vim.b.spa_lsp_enabled)
  elseif what == 'filetype' then
    local filetype = vim.bo.filetype
    M.off_filetypes[filetype] = not M.off_filetypes[filetype] or nil
    return ('for filetype %s %s'):format(filetype, M.word(not M.off_filetypes[filetype]))
  end
  vim.g.spa_lsp_enabled = vim.g.spa_lsp_enabled == false
  return M.word(vim.g.spa_lsp_enabled)
end

---@param is_on boolean
---@return string
function M.word(is_on)
  return is_on and 'on' or 'off'
end

return M
