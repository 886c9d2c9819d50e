-- The keys: `<Plug>` maps for every action, and default keys that never take one that the user has mapped.

local config = require('spa_lsp.config')
local display = require('spa_lsp.display')

local M = {}

---@type table<string, string> action → key that the user had mapped already
M.taken = {}

---@type table<string, fun(): boolean> by option name
local actions = {
  accept = function() return display.accept() end,
  accept_word = function() return display.accept('word') end,
  accept_line = function() return display.accept('line') end,
  next = function() return display.select(1) end,
  prev = function() return display.select(-1) end,
  dismiss = function() return display.dismiss() end,
  trigger = function() return display.trigger() end,
  panel = function()
    vim.schedule(function() require('spa_lsp.panel').open() end)
    return true
  end,
}

function M.define_plugs()
  for name, action in pairs(actions) do
    vim.keymap.set('i', M.plug(name), function()
      action()
      return ''
    end, { expr = true, desc = 'spa_lsp: ' .. name })
  end
end

---@param name string
---@return string
function M.plug(name)
  return ('<Plug>(spa-lsp-%s)'):format((name:gsub('_', '-')))
end

local is_set = false

--- Map the default keys, once. They are global, so that a map the user makes later takes their place.
function M.set()
  if is_set or not config.current.keymaps then
    return
  end
  is_set = true
  for name, key in pairs(config.current.keymaps) do
    if key then
      M.map(name, key)
    end
  end
end

---@param name string
---@param key string
function M.map(name, key)
  local before = M.find(key)
  if before and not M.is_default(before) then
    M.taken[name] = key
    return
  end
  vim.keymap.set('i', key, function()
    if actions[name]() then
      return ''
    end
    return before and before.callback() or key
  end, { expr = true, desc = 'spa_lsp: ' .. name })
end

--- The global map of a key; one of a buffer wins over ours anyway.
---@param key string
---@return table?
function M.find(key)
  local raw = vim.keycode(key)
  for _, map in ipairs(vim.api.nvim_get_keymap('i')) do
    if map.lhsraw == raw or map.lhsrawalt == raw then
      return map
    end
  end
end

--- Neovim maps <Tab> itself since 0.11, to jump in snippets; that still works where nothing is shown.
---@param map table
---@return boolean
function M.is_default(map)
  return vim.startswith(map.desc or '', 'vim.snippet.jump') and map.expr == 1 and map.callback ~= nil
end

return M
