-- The server's client: what it is told, what it says of itself. How it is started is in `life.lua`.

local config = require('spa_lsp.config')

local M = {}

M.name = 'spa_lsp'

---@class spa_lsp.Status
---@field state 'starting'|'loading'|'ready'|'busy'|'off'|'error'
---@field message? string
---@field base? string
---@field adapter_set? string
---@field k? integer
---@field sends_to? string HOST:PORT of the server that gets the text in place of the engine; '': there is none

---@type table<integer, spa_lsp.Status> by client id; a server of before `spa-lsp/status` has none
M.status = {}

---@type table<integer, boolean> by client id: whether its engine was there once
local was_ready = {}

--- The server's command line; nil where the user starts it by a function of theirs.
---@return string[]?
function M.command()
  local theirs = vim.fn.has('nvim-0.11') == 1 and (vim.lsp.config[M.name] or {}).cmd or nil
  if type(theirs) == 'table' then
    return theirs
  end
  return config.current.cmd
end

--- The client of a buffer, or any when none is given.
---@param bufnr? integer
---@return vim.lsp.Client?
function M.client(bufnr)
  return vim.lsp.get_clients({ name = M.name, bufnr = bufnr })[1]
end

--- Call a method of a client: with a colon since 0.11, where 0.10 wants a dot.
---@param client vim.lsp.Client
---@param method string
---@return any, any
function M.call(client, method, ...)
  if vim.fn.has('nvim-0.11') == 1 then
    return client[method](client, ...)
  end
  return client[method](...)
end

--- Tell the server; it may be one that does not know the method.
---@param bufnr integer
---@param method string
---@param params table
function M.tell(bufnr, method, params)
  local client = M.client(bufnr)
  if client then
    M.call(client, 'notify', method, params)
  end
end

--- Run one of the server's commands; `on_result` gets its result.
---@param command string
---@param arguments? any[]
---@param on_result? fun(result: any)
---@param bufnr? integer
function M.execute(command, arguments, on_result, bufnr)
  local client = M.client(bufnr)
  if not client then
    vim.notify('spa_lsp: the server does not run here; see :checkhealth spa_lsp', vim.log.levels.WARN)
    return
  end
  local params = { command = command, arguments = arguments }
  M.call(client, 'request', 'workspace/executeCommand', params, function(err, result)
    if err then
      vim.notify(('spa_lsp: %s: %s'):format(command, err.message), vim.log.levels.WARN)
    elseif on_result then
      on_result(result)
    end
  end)
end

--- Parameters that name the place of the cursor in the current window.
---@param client vim.lsp.Client
---@param kind 1|2 1: the user asked
---@return table
function M.params(client, kind)
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.context = { triggerKind = kind }
  return params
end

function M.on_status(_, params, context)
  M.status[context.client_id] = params
  local is_ready = params.state == 'ready' or params.state == 'busy'
  was_ready[context.client_id] = was_ready[context.client_id] or is_ready
  M.announce()
end

--- Why the server has nothing to show now; nil: because there is nothing.
---@param client vim.lsp.Client
---@return string?
function M.waits_for(client)
  local status = M.status[client.id]
  if not status or (status.state ~= 'starting' and status.state ~= 'loading' and status.state ~= 'error') then
    return nil
  end
  local message = status.message and status.message ~= '' and status.message or nil
  if status.state == 'error' then
    return message or 'something is wrong; see :checkhealth spa_lsp'
  end
  local what = was_ready[client.id] and 'engine restarting …' or 'engine starting …'
  return status.state == 'loading' and message and ('%s (%s)'):format(what, message) or what
end

--- ' → HOST:PORT' where the text goes to a server elsewhere, '' where it stays with the engine here.
---@param client vim.lsp.Client
---@return string
function M.way_out(client)
  local place = (M.status[client.id] or {}).sends_to
  return place and place ~= '' and place ~= vim.NIL and ' → ' .. place or ''
end

--- Its client is no more.
---@param client_id integer
function M.forget(client_id)
  M.status[client_id], was_ready[client_id] = nil, nil
end

--- Say that what `statusline()` shows may have changed.
function M.announce()
  vim.api.nvim_exec_autocmds('User', { pattern = 'SpaLspUpdate', modeline = false })
  vim.cmd.redrawstatus()
end

return M
