-- Why a file is left alone, for the status line: asked of the server when a buffer is entered or written.

local server = require('spa_lsp.server')

local M = {}

---@type table<integer, string> by buffer
local messages = {}
---@type table<integer, integer> by buffer: the last question, whose answer alone counts
local asked = {}
local n_asked = 0

--- The sentence about a buffer that gets nothing; nil for others.
---@param bufnr integer
---@return string?
function M.of(bufnr)
  return messages[bufnr]
end

--- Ask about a buffer; a server of before this request says nothing.
---@param bufnr integer
function M.ask(bufnr)
  local client = vim.api.nvim_buf_is_loaded(bufnr) and server.client(bufnr)
  if not client then
    M.forget(bufnr)
    return
  end
  n_asked = n_asked + 1
  local question = n_asked
  asked[bufnr] = question
  local params = { textDocument = { uri = vim.uri_from_bufnr(bufnr) } }
  server.call(client, 'request', 'spa-lsp/whyNot', params, function(err, result)
    local message = not err and type(result) == 'table' and result.message ~= '' and result.message or nil
    if asked[bufnr] == question and messages[bufnr] ~= message then
      messages[bufnr] = message
      server.announce()
    end
  end, bufnr)
end

--- The buffer is no more.
---@param bufnr integer
function M.forget(bufnr)
  messages[bufnr], asked[bufnr] = nil, nil
end

return M
