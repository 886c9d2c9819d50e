-- "2/5 · label" at the end of the cursor's line.

local alternatives = require('spa_lsp.alternatives')
local config = require('spa_lsp.config')

local M = {}

M.namespace = vim.api.nvim_create_namespace('spa_lsp.hint')

---@param bufnr integer
---@param shown? spa_lsp.Shown nil: take the hint away
function M.show(bufnr, shown)
  vim.api.nvim_buf_clear_namespace(bufnr, M.namespace, 0, -1)
  if not shown or not config.current.label or bufnr ~= vim.api.nvim_get_current_buf() then
    return
  end
  local title = alternatives.title(shown.alternative, shown.place, shown.count)
  vim.api.nvim_buf_set_extmark(bufnr, M.namespace, vim.api.nvim_win_get_cursor(0)[1] - 1, 0, {
    virt_text = { { title, 'SpaLspHint' } },
    virt_text_pos = 'eol',
    hl_mode = 'combine',
  })
end

return M
