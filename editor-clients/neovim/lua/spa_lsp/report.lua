-- What the server is told of an alternative besides its acceptance: shown, taken in part, dismissed. Never any text.

local alternatives = require('spa_lsp.alternatives')
local server = require('spa_lsp.server')

local M = {}

---@type table<integer, string> by buffer: which alternative was last reported as shown
local last = {}

---@param bufnr integer
---@param alternative? spa_lsp.Alternative nil: nothing is shown now
function M.shown(bufnr, alternative)
  local facts = alternative and alternatives.facts(alternative.command)
  local key = facts and vim.inspect(facts) .. alternative.text
  if key and key ~= last[bufnr] then
    M.tell(bufnr, 'spa-lsp/didShow', facts)
  end
  last[bufnr] = key
end

---@param bufnr integer
---@param alternative spa_lsp.Alternative
---@param part string what was inserted
function M.partly_accepted(bufnr, alternative, part)
  local facts = alternatives.facts(alternative.command)
  M.tell(bufnr, 'spa-lsp/didPartiallyAccept', facts, { acceptedLength = vim.fn.strchars(part) })
end

---@param bufnr integer
---@param alternative spa_lsp.Alternative
function M.dismissed(bufnr, alternative)
  M.tell(bufnr, 'spa-lsp/didDismiss', alternatives.facts(alternative.command))
  last[bufnr] = nil
end

---@param bufnr integer
---@param method string
---@param facts table
---@param more? table
function M.tell(bufnr, method, facts, more)
  local document = { textDocument = { uri = vim.uri_from_bufnr(bufnr) } }
  server.tell(bufnr, method, vim.tbl_extend('force', document, facts, more or {}))
end

return M
