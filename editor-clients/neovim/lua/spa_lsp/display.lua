-- What is on screen, whoever draws it: one face for Neovim's own inline completion and for the plugin's ghost text.

local config = require('spa_lsp.config')
local hint = require('spa_lsp.hint')
local leaving = require('spa_lsp.leaving')
local report = require('spa_lsp.report')
local server = require('spa_lsp.server')
local toggles = require('spa_lsp.toggles')

local M = {}

---@class spa_lsp.Shown
---@field alternative spa_lsp.Alternative
---@field place integer from 1
---@field count integer

---@type table<integer, table> by buffer: the module that draws there
local drawers = {}

---@return 'native'|'ghost'
function M.kind()
  local wish = config.current.display
  local is_native = require('spa_lsp.native').is_available() and (wish == 'native' or wish == 'auto')
  return is_native and (wish == 'native' or config.current.auto_trigger) and 'native' or 'ghost'
end

--- Offer completions in a buffer, or stop offering them, as the toggles say.
---@param bufnr integer
function M.refresh(bufnr)
  local is_wanted = server.client(bufnr) ~= nil and toggles.is_on(bufnr)
  if is_wanted and not drawers[bufnr] then
    drawers[bufnr] = require('spa_lsp.' .. M.kind())
    drawers[bufnr].attach(bufnr, M.on_change)
  elseif not is_wanted and drawers[bufnr] then
    M.detach(bufnr)
  end
end

function M.refresh_all()
  for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_is_loaded(bufnr) then
      M.refresh(bufnr)
    end
  end
end

--- Begin again: another drawer may be wanted.
function M.reset()
  for bufnr in pairs(vim.deepcopy(drawers)) do
    M.detach(bufnr)
  end
  M.refresh_all()
end

---@param bufnr integer
function M.detach(bufnr)
  local drawer = drawers[bufnr]
  drawers[bufnr] = nil
  if drawer and vim.api.nvim_buf_is_valid(bufnr) then
    drawer.detach(bufnr)
    hint.show(bufnr, nil)
  end
end

--- What is shown may have changed: set the hint, tell the server and the status line.
---@param bufnr integer
function M.on_change(bufnr)
  if drawers[bufnr] then
    local shown = M.current(bufnr)
    hint.show(bufnr, shown)
    report.shown(bufnr, shown and shown.alternative)
    server.announce()
  end
end

--- Show what comes first while the request goes on, unless the user has moved or something that fits is shown.
---@param params table
---@param context lsp.HandlerContext
function M.on_first_items(_, params, context)
  local bufnr = M.buffer_of(params.textDocument.uri)
  local drawer, client = bufnr and drawers[bufnr], vim.lsp.get_client_by_id(context.client_id)
  if
    bufnr
    and drawer
    and client
    and leaving.is_typing(bufnr)
    and vim.lsp.util.buf_versions[bufnr] == params.textDocument.version
    and vim.deep_equal(server.params(client, 2).position, params.position)
  then
    drawer.take_first(bufnr, params, client)
    M.on_change(bufnr)
  end
end

--- The loaded buffer of a document that completions are offered in; `vim.uri_to_bufnr` would make one.
---@param uri string
---@return integer?
function M.buffer_of(uri)
  return vim.iter(vim.tbl_keys(drawers)):find(
    function(bufnr) return vim.api.nvim_buf_is_loaded(bufnr) and vim.uri_from_bufnr(bufnr) == uri end
  )
end

---@param bufnr integer
---@return spa_lsp.Shown?
function M.current(bufnr)
  return drawers[bufnr] and drawers[bufnr].current(bufnr)
end

---@param delta integer
---@return boolean false: nothing is shown
function M.select(delta)
  return M.act(function(drawer, bufnr)
    drawer.select(bufnr, delta)
    M.on_change(bufnr)
  end)
end

---@param part? 'word'|'line' nil: all of it
---@return boolean false: nothing is shown
function M.accept(part)
  return M.act(function(drawer, bufnr)
    drawer.accept(bufnr, part, function(alternative, inserted)
      report.partly_accepted(bufnr, alternative, inserted)
    end)
    M.on_change(bufnr)
  end)
end

---@return boolean false: nothing is shown
function M.dismiss()
  return M.act(function(drawer, bufnr)
    local shown = drawer.current(bufnr)
    if shown then
      report.dismissed(bufnr, shown.alternative)
    end
    drawer.clear(bufnr)
    M.on_change(bufnr)
  end)
end

--- Ask now, whatever is typed or shown.
---@return boolean false: completions are not offered here
function M.trigger()
  local bufnr = vim.api.nvim_get_current_buf()
  local drawer = drawers[bufnr]
  if drawer then
    vim.schedule(function() drawer.trigger(bufnr, M.on_change) end)
  end
  return drawer ~= nil
end

--- Take away what is shown, and nothing more.
---@param bufnr integer
function M.clear(bufnr)
  if drawers[bufnr] then
    drawers[bufnr].clear(bufnr)
    M.on_change(bufnr)
  end
end

--- Do this when something is shown. Later: a key's function may not change text.
---@param action fun(drawer: table, bufnr: integer)
---@return boolean
function M.act(action)
  local bufnr = vim.api.nvim_get_current_buf()
  local drawer = drawers[bufnr]
  if not drawer or not drawer.is_shown(bufnr) then
    return false
  end
  vim.schedule(function() action(drawer, bufnr) end)
  return true
end

return M
