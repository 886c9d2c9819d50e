-- The life of the server: how it is started, what is done when it is not ours or ends, when it is given up.

local config = require('spa_lsp.config')
local crashes = require('spa_lsp.crashes')
local folders = require('spa_lsp.folders')
local server = require('spa_lsp.server')

local M = {}

M.MIN_VERSION = '0.1.0'

---@type string? why no server is started any more, until the user asks for one
M.given_up = nil

---@type table<integer, fun()> by client id: what to do when it has ended
local after_exit = {}

local has_crashed = false -- the process that ended last; Neovim's own message for it is kept back

--- What `lsp/spa_lsp.lua` gives to Neovim. All that the user sets is read when a client starts, so `setup` may come later.
---@return table
function M.client_config()
  return {
    name = server.name,
    cmd = function(dispatchers)
      return vim.lsp.rpc.start(config.current.cmd, M.quietly(dispatchers))
    end,
    before_init = function(params)
      local theirs = params.initializationOptions -- of `vim.lsp.config`
      local settings = vim.tbl_extend('force', type(theirs) == 'table' and theirs or {}, config.current.settings)
      params.initializationOptions = next(settings) and settings or nil -- an empty table would be sent as a list
      local more = { experimental = { spaLspFirstItems = true } }
      params.capabilities = vim.tbl_deep_extend('force', params.capabilities, more)
    end,
    root_dir = function(bufnr, on_dir)
      if M.is_served(bufnr) and M.may_start() then
        on_dir(M.root(bufnr))
      end
    end,
    reuse_client = function(client, wanted)
      -- one for all folders: it is told of each, for every document goes by the settings of its own
      local is_ours = client.name == server.name and not server.call(client, 'is_stopped')
      if is_ours then
        folders.add(client, wanted and wanted.root_dir)
      end
      return is_ours
    end,
    handlers = {
      ['spa-lsp/status'] = server.on_status,
      ['spa-lsp/firstItems'] = function(...) require('spa_lsp.display').on_first_items(...) end,
    },
    on_init = M.on_init,
    on_exit = M.on_exit,
  }
end

--- Neovim tells of every process that fails. We tell once of the server, and what to do.
---@param dispatchers vim.lsp.rpc.Dispatchers
---@return vim.lsp.rpc.Dispatchers
function M.quietly(dispatchers)
  return vim.tbl_extend('force', dispatchers, {
    on_exit = function(code, signal)
      has_crashed = crashes.is_crash(code, signal)
      dispatchers.on_exit(0, 0)
    end,
  })
end

--- Have the server started for each buffer that it serves.
function M.enable()
  M.given_up = nil
  if vim.fn.has('nvim-0.11') == 1 then
    vim.lsp.enable(server.name)
    return
  end
  local group = vim.api.nvim_create_augroup('spa_lsp.start', {})
  vim.api.nvim_create_autocmd('FileType', {
    group = group,
    callback = function(event) M.start(event.buf) end,
  })
  M.start_all()
end

--- Start the server for a buffer, or attach the one that runs.
---@param bufnr integer
function M.start(bufnr)
  if vim.bo[bufnr].buftype ~= '' or not M.is_served(bufnr) or not M.may_start() then
    return
  end
  local theirs = vim.fn.has('nvim-0.11') == 1 and vim.lsp.config[server.name] or {}
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
function M.may_start()
  if M.given_up then
    return false
  end
  local problem = M.problem(server.command())
  if problem then
    local advice = "pass setup{ cmd = { '/path/to/spa-lsp', '--stdio' } } or put it on PATH; see :checkhealth spa_lsp"
    vim.notify_once(('spa_lsp: %s; %s'):format(problem, advice), vim.log.levels.WARN)
  end
  return problem == nil
end

--- Why this command line cannot be run; nil: it can.
---@param command? string[]
---@return string?
function M.problem(command)
  if not command or vim.fn.executable(command[1]) == 1 then
    return nil
  end
  local is_file = vim.fn.filereadable(command[1]) == 1
  return (is_file and '%q may not be run' or 'there is no program %q'):format(command[1])
end

--- Start no server any more until the user asks for one, and say so.
---@param message string
function M.give_up(message)
  if not M.given_up then
    M.given_up = message
    vim.notify(('spa_lsp: %s; :SpaLsp restart tries again'):format(message), vim.log.levels.WARN)
  end
end

--- Stop the server and start it again for the same buffers.
function M.restart()
  M.given_up = nil
  crashes.forget()
  local client = server.client()
  if not client then
    M.start_all()
    return
  end
  local buffers = vim.tbl_keys(client.attached_buffers)
  after_exit[client.id] = function() M.start_for(buffers) end
  server.call(client, 'stop')
end

--- Start it for every file that is open.
function M.start_all()
  M.start_for(vim.tbl_filter(function(bufnr)
    return vim.api.nvim_buf_is_loaded(bufnr) and vim.bo[bufnr].filetype ~= ''
  end, vim.api.nvim_list_bufs()))
end

---@param buffers integer[]
function M.start_for(buffers)
  for _, bufnr in ipairs(buffers) do
    if vim.api.nvim_buf_is_loaded(bufnr) then
      M.start(bufnr)
    end
  end
end

--- Look whether it is our server.
---@param client vim.lsp.Client
---@param result table
function M.on_init(client, result)
  folders.tell(client)
  local about = result.serverInfo or {}
  local program = (server.command() or { 'the server' })[1]
  if about.name ~= 'spa-lsp' then
    M.give_up(('%s is not spa-lsp but %s; put spa-lsp into cmd of setup'):format(program, about.name or 'unknown'))
    vim.schedule(function() server.call(client, 'stop') end)
  elseif M.is_older(about.version, M.MIN_VERSION) then
    local text = 'spa_lsp: spa-lsp %s is too old for this plugin, which needs %s; upgrade it, then :SpaLsp restart'
    vim.notify_once(text:format(about.version, M.MIN_VERSION), vim.log.levels.WARN)
  end
end

--- Whether this version is older; what is no version is not.
---@param found? string
---@param least string
---@return boolean
function M.is_older(found, least)
  local version = type(found) == 'string' and vim.version.parse(found, { strict = false })
  return version and vim.version.lt(version, least) or false
end

--- A server that ended by itself is started again, unless it does that again and again.
function M.on_exit(code, signal, client_id)
  local is_crash = has_crashed or crashes.is_crash(code, signal)
  local client = vim.lsp.get_client_by_id(client_id)
  local buffers = client and vim.tbl_keys(client.attached_buffers) or {}
  local has_run = client and client.initialized
  has_crashed = false
  vim.schedule(function()
    server.forget(client_id)
    folders.forget(client_id)
    local go_on = after_exit[client_id]
    after_exit[client_id] = nil
    if go_on then
      go_on()
    elseif is_crash and vim.v.exiting == vim.NIL then
      M.after_crash(buffers, has_run)
    end
    server.announce()
  end)
end

---@param buffers integer[]
---@param has_run? boolean whether it served before it ended
function M.after_crash(buffers, has_run)
  if not has_run then
    M.give_up(('%s could not be started as a language server; see :SpaLsp log'):format((server.command() or { '' })[1]))
  elseif crashes.may_restart(vim.uv.now() / 1000) then
    M.start_for(buffers)
  else
    M.give_up('the server ended five times in three minutes and stays off; see :SpaLsp log')
  end
end

return M
