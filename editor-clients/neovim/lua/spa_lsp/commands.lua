-- `:SpaLsp SUBCOMMAND`.

local display = require('spa_lsp.display')
local server = require('spa_lsp.server')
local toggles = require('spa_lsp.toggles')

local M = {}

---@param message string
local function say(message)
  vim.notify('spa_lsp: ' .. message, vim.log.levels.INFO)
end

--- Show what the server gave in a window of its own: a long message would stop Neovim until a key is pressed.
---@param result any
local function show(result)
  local lines = vim.split(type(result) == 'string' and result or vim.inspect(result), '\n')
  if #lines == 1 then
    say(lines[1])
    return
  end
  vim.cmd('botright new')
  vim.api.nvim_buf_set_lines(0, 0, -1, false, lines)
  vim.bo.buftype, vim.bo.bufhidden, vim.bo.modifiable = 'nofile', 'wipe', false
  vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = true, nowait = true, desc = 'spa_lsp: close' })
  vim.cmd.stopinsert()
end

--- Choose one of the server's things: by name, or from the list that it gives without one.
---@param command string
---@param what string
---@return fun(name?: string)
local function chooser(command, what)
  local function choose(name)
    server.execute(command, { name }, function() say(what .. ' ' .. name) end)
  end
  return function(name)
    if name then
      choose(name)
      return
    end
    server.execute(command, nil, function(result)
      vim.ui.select(M.names_in(result), { prompt = 'spa-lsp: ' .. what }, function(chosen)
        if chosen then
          choose(chosen)
        end
      end)
    end)
  end
end

---@class spa_lsp.Subcommand
---@field run fun(argument?: string)
---@field arguments? string[]

---@type table<string, spa_lsp.Subcommand>
M.all = {
  status = { run = function() say(M.describe()) end },
  toggle = {
    arguments = { 'all', 'buffer', 'filetype' },
    run = function(what)
      local said = toggles.flip(what)
      display.refresh_all()
      say('completions are ' .. said)
    end,
  },
  next = { run = function() display.select(1) end },
  prev = { run = function() display.select(-1) end },
  trigger = { run = function() display.trigger() end },
  dismiss = { run = function() display.dismiss() end },
  panel = { run = function() require('spa_lsp.panel').open() end },
  set = { run = chooser('spa-lsp.selectSet', 'adapter set') },
  base = { run = chooser('spa-lsp.selectBase', 'base') },
  reload = { run = function() server.execute('spa-lsp.reloadAdapters', nil, show) end },
  metrics = { run = function() server.execute('spa-lsp.metrics', nil, show) end },
  ['clear-cache'] = { run = function() server.execute('spa-lsp.clearCache', nil, function() say('cache cleared') end) end },
  restart = {
    arguments = { 'server', 'engine' },
    run = function(what)
      if what == 'engine' then
        server.execute('spa-lsp.restartEngine', nil, function() say('the engine starts again') end)
      else
        require('spa_lsp.life').restart()
      end
    end,
  },
  log = { run = function() vim.cmd.tabedit(vim.fn.fnameescape(M.log_path())) end },
}

---@param command { fargs: string[] }
function M.run(command)
  local name, argument = command.fargs[1] or 'status', command.fargs[2]
  local subcommand = M.all[name]
  if not subcommand then
    vim.notify(('spa_lsp: no subcommand %q; there are %s'):format(name, table.concat(M.names(), ', ')), vim.log.levels.ERROR)
  elseif argument and subcommand.arguments and not vim.tbl_contains(subcommand.arguments, argument) then
    local known = table.concat(subcommand.arguments, ', ')
    vim.notify(('spa_lsp: %s takes one of %s, not %q'):format(name, known, argument), vim.log.levels.ERROR)
  else
    subcommand.run(argument)
  end
end

---@param lead string
---@param line string
---@return string[]
function M.complete(lead, line)
  local before = vim.split(line:sub(1, #line - #lead), '%s+', { trimempty = true })
  local offered = M.names()
  if #before > 1 then
    local subcommand = M.all[before[2]]
    offered = #before == 2 and subcommand and subcommand.arguments or {}
  end
  return vim.tbl_filter(function(each) return vim.startswith(each, lead) end, offered)
end

---@return string[]
function M.names()
  local names = vim.tbl_keys(M.all)
  table.sort(names)
  return names
end

--- The names in a list that the server gave.
---@param result any
---@return string[]
function M.names_in(result)
  local list = type(result) == 'table' and (result.sets or result.bases) or {}
  return vim.tbl_map(function(each) return each.name or each.id end, list)
end

---@return string
function M.describe()
  local client = server.client()
  if not client then
    return 'the server does not run; see :checkhealth spa_lsp'
  end
  local status, parts = server.status[client.id] or {}, {}
  for _, part in ipairs({ status.state or 'running', status.message or '', status.base or '', status.adapter_set or '' }) do
    if part ~= '' and part ~= vim.NIL then
      table.insert(parts, part)
    end
  end
  if server.way_out(client) ~= '' then
    table.insert(parts, 'text goes to' .. server.way_out(client))
  end
  if not toggles.is_on(vim.api.nvim_get_current_buf()) then
    table.insert(parts, 'completions are off here')
  end
  return table.concat(parts, ' · ')
end

---@return string
function M.log_path()
  return vim.lsp.log and vim.lsp.log.get_filename and vim.lsp.log.get_filename() or vim.lsp.get_log_path()
end

return M
