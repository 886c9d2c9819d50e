-- `:checkhealth spa_lsp`

local config = require('spa_lsp.config')
local display = require('spa_lsp.display')
local keymaps = require('spa_lsp.keymaps')
local life = require('spa_lsp.life')
local server = require('spa_lsp.server')
local toggles = require('spa_lsp.toggles')

local M = {}

local TIMEOUT_MS = 10000

function M.check()
  vim.health.start('spa_lsp')
  M.check_neovim()
  M.check_program()
  M.check_client()
  M.check_keys()
end

function M.check_neovim()
  if vim.fn.has('nvim-0.10') == 0 then
    vim.health.error('Neovim 0.10 or newer is needed')
    return
  end
  local drawn_by = display.kind() == 'native' and "Neovim's own inline completion" or "the plugin's ghost text"
  vim.health.ok(('Neovim %s; completions are shown by %s'):format(tostring(vim.version()), drawn_by))
end

function M.check_program()
  local command = server.command()
  local problem = life.problem(command)
  if problem then
    vim.health.error(problem, {
      "pass require('spa_lsp').setup{ cmd = { '/path/to/spa-lsp', '--stdio' } }, or put it on PATH",
    })
    return
  elseif not command then
    return -- a function of the user's
  end
  local started, process = pcall(vim.system, { command[1], '--version' }, { text = true })
  local result = started and process:wait(TIMEOUT_MS) or { code = 1 }
  if result.code == 0 then
    vim.health.ok(('%s: %s'):format(vim.fn.exepath(command[1]), vim.trim(result.stdout)))
  else
    vim.health.warn(('%s does not answer to --version'):format(vim.fn.exepath(command[1])), { 'run it in a terminal' })
  end
end

function M.check_client()
  local client = server.client()
  if life.given_up then
    vim.health.warn(life.given_up, { ':SpaLsp restart' })
    return
  elseif not client then
    vim.health.info('the server does not run now; it starts with the first file')
    return
  end
  local status = server.status[client.id]
  local report = status and status.state == 'error' and vim.health.warn or vim.health.ok
  local message = status and status.message and status.message ~= vim.NIL and ': ' .. status.message or ''
  report(('the server runs (%s%s)'):format(status and status.state or 'its state is not known', message))
  if not client.server_capabilities.inlineCompletionProvider then
    vim.health.error('the server offers no inline completion', { 'install the newest spa-lsp' })
  end
  if vim.g.spa_lsp_enabled == false or next(toggles.off_filetypes) then
    vim.health.info('completions are switched off in places; see :SpaLsp toggle')
  end
end

function M.check_keys()
  if not config.current.keymaps then
    vim.health.info('keymaps = false: no keys are mapped; there are <Plug>(spa-lsp-accept) and others')
    return
  end
  if vim.tbl_isempty(keymaps.taken) then
    vim.health.ok('no default key was taken by another map')
  end
  for name, key in pairs(keymaps.taken) do
    local advice = ('map another key to %s, or set keymaps.%s'):format(keymaps.plug(name), name)
    vim.health.info(('%s is your own map; %s'):format(key, advice))
  end
end

return M
