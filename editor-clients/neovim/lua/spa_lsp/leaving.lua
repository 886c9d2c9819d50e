-- Every way out of typing in a buffer: of Insert mode, the window, the buffer, the tab page, of focus.

local M = {}

-- after these the cursor types here no more, whatever the mode; the others tell it together with the mode
local ENDS = { 'InsertLeave', 'BufLeave', 'WinLeave', 'TabLeave', 'FocusLost', 'VimSuspend' }
-- `<C-c>` fires no `InsertLeave`, and `ModeChanged` only with the key after it
local HINTS = { 'CursorMoved', 'SafeState' }

---@param bufnr integer
---@return boolean
function M.is_typing(bufnr)
  return vim.api.nvim_get_current_buf() == bufnr and vim.startswith(vim.api.nvim_get_mode().mode, 'i')
end

--- Call `on_leave` when the user types in this buffer no more; more often than once for one way out.
---@param bufnr integer
---@param on_leave fun()
function M.watch(bufnr, on_leave)
  local group = vim.api.nvim_create_augroup('spa_lsp.leaving.' .. bufnr, {})
  local function look()
    if not M.is_typing(bufnr) then
      on_leave()
    end
  end
  vim.api.nvim_create_autocmd(ENDS, { group = group, buffer = bufnr, callback = on_leave })
  vim.api.nvim_create_autocmd(HINTS, { group = group, buffer = bufnr, callback = look })
  vim.api.nvim_create_autocmd('ModeChanged', { group = group, pattern = 'i*:*', callback = look })
end

---@param bufnr integer
function M.forget(bufnr)
  pcall(vim.api.nvim_del_augroup_by_name, 'spa_lsp.leaving.' .. bufnr)
end

return M
