-- The server's client: how it is started, what it is told, what it says of itself.

local config = require('spa_lsp.config')

local M = {}

M.name = 'spa_lsp'

---@class spa_lsp.Status
---@field state 'starting'|'loading'|'ready'|'busy'|'off'|'error'
---@field message? string
---@field base? string
---@field adapter_set? string
---@field k? integer

---@type table<integer, spa_lsp.Status> by client id; a server of before `spa-lsp/status` has none
M.status = {}

---@type table<integer, fun()> by client id: what to do when it has ended
local after_exit = {}

--- What `lsp/spa_lsp.lua` gives to Neovim. All that the user sets is read when a client starts, so `setup` may come later.
---@return table
function M.client_config()
  return {
    name = M.name,
    cmd = function(dispatchers)
      return vim.lsp.rpc.start(config.current.cmd, dispatchers)
    end,
    before_init = function(params)
      local settings = config.current.settings
      params.initializationOptions = next(settings) and settings or nil -- an empty table would be sent as a list
    end,
    root_dir = function(bufnr, on_dir)
      if M.is_served(bufnr) and M.is_installed() then
        on_dir(M.root(bufnr))
      end
    end,
    reuse_client = function(client)
      -- one for all folders: the server looks at open documents only
      return client.name == M.name and not M.call(client, 'is_stopped')
    end,
    handlers = { ['spa-lsp/status'] = M.on_status },
    on_exit = M.on_exit,
  }
end

--- Have the server started for each buffer that it serves.
function M.enable()
  if vim.fn.has('nvim-0.11') == 1 then
    vim.lsp.enable(M.name)
    return
  end
  local group = vim.api.nvim_create_augroup('spa_lsp.start', {})
  vim.api.nvim_create_autocmd('FileType', {
    group = group,
    callback = function(event) M.start(event.buf) end,
  })
  for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_is_loaded(bufnr) and vim.bo[bufnr].filetype ~= '' then
      M.start(bufnr)
    end
  end
end

--- Start the server for a buffer, or attach the one that runs.
---@param bufnr integer
function M.start(bufnr)
  if vim.bo[bufnr].buftype ~= '' or not M.is_served(bufnr) or not M.is_installed() then
    return
  end
  local theirs = vim.fn.has('nvim-0.11') == 1 and vim.lsp.config[M.name] or {}
  local settings = vim.tbl_extend('force', M.client_config(), theirs, { root_dir = M.root(bufnr) })
  local reuse = settings.reuse_client
  settings.reuse_client = nil
  vim.lsp.start(settings, { bufnr = bufnr, reuse_client = reuse })
end

---@param bufnr integer
---@return boolean
function M.is_served(bufnr)
  local filetypes = config.current.filetypes
  return not filetypes or vim.tbl_contains(filetypes, vim.bo[bufnr].filetype)
end

---@param bufnr integer
---@return string
function M.root(bufnr)
  return vim.fs.root(bufnr, config.current.root_markers) or vim.fn.getcwd()
end

--- Whether the server can be started; if not, the user is told once.
---@return boolean
function M.is_installed()
  local command = M.command()
  if not command or vim.fn.executable(command[1]) == 1 then
    return true
  end
  local advice = "pass setup{ cmd = { '/path/to/spa-lsp', '--stdio' } } or put it on PATH; see :checkhealth spa_lsp"
  vim.notify_once(('spa_lsp: there is no program %q; %s'):format(command[1], advice), vim.log.levels.WARN)
  return false
end

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

--- Stop the server and start it again for the same buffers.
function M.restart()
  local client = M.client()
  if not client then
    M.enable()
    return
  end
  local buffers = vim.tbl_keys(client.attached_buffers)
  after_exit[client.id] = function()
    for _, bufnr in ipairs(buffers) do
      if vim.api.nvim_buf_is_loaded(bufnr) then
        M.start(bufnr)
      end
    end
  end
  M.call(client, 'stop')
end

function M.on_exit(_, _, client_id)
  vim.schedule(function()
    M.status[client_id] = nil
    local go_on = after_exit[client_id]
    after_exit[client_id] = nil
    if go_on then
      go_on()
    end
    M.announce()
  end)
end

function M.on_status(_, params, context)
  M.status[context.client_id] = params
  M.announce()
end

--- Say that what `statusline()` shows may have changed.
function M.announce()
  vim.api.nvim_exec_autocmds('User', { pattern = 'SpaLspUpdate', modeline = false })
  vim.cmd.redrawstatus()
end

return M
