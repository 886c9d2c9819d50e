-- What `setup` takes, its defaults, and the check that says in one sentence what is wrong. No state but the result.

local M = {}

---@class spa_lsp.Keymaps
---@field accept? string|false
---@field accept_word? string|false
---@field accept_line? string|false
---@field next? string|false
---@field prev? string|false
---@field dismiss? string|false
---@field trigger? string|false
---@field panel? string|false

---@class spa_lsp.PanelConfig
---@field layout? 'float'|'split'

---@class spa_lsp.Config
---@field cmd? string[] the server and its arguments
---@field settings? table<string, any> the server's settings, sent as `initializationOptions`; defaults are the server's
---@field filetypes? string[] where the server is attached; nil: everywhere
---@field root_markers? string[]
---@field display? 'auto'|'native'|'ghost' 'auto': Neovim's own inline completion where there is one
---@field auto_trigger? boolean false: only the trigger key asks
---@field debounce_ms? integer of the plugin's own ghost text; Neovim's own waits 200 ms
---@field label? boolean show "2/5 · label" at the end of the line
---@field keymaps? spa_lsp.Keymaps|false
---@field panel? spa_lsp.PanelConfig

---@type spa_lsp.Config
M.defaults = {
  cmd = { 'spa-lsp', '--stdio' },
  settings = {},
  filetypes = nil,
  root_markers = { '.git', 'pyproject.toml' },
  display = 'auto',
  auto_trigger = true,
  debounce_ms = 100,
  label = true,
  keymaps = {
    accept = '<Tab>',
    accept_word = '<M-Right>',
    accept_line = '<M-C-Right>',
    next = '<M-]>',
    prev = '<M-[>',
    dismiss = '<C-]>',
    trigger = '<M-\\>',
    panel = '<M-CR>',
  },
  panel = { layout = 'float' },
}

local rules = {
  cmd = { 'a list of strings', function(v) return M.is_texts(v) and #v > 0 end },
  settings = { 'a table', function(v) return type(v) == 'table' end },
  filetypes = { 'a list of strings', function(v) return M.is_texts(v) end },
  root_markers = { 'a list of strings', function(v) return M.is_texts(v) end },
  display = { '"auto", "native" or "ghost"', function(v) return v == 'auto' or v == 'native' or v == 'ghost' end },
  auto_trigger = { 'true or false', function(v) return type(v) == 'boolean' end },
  debounce_ms = { 'milliseconds, 0 or more', function(v) return type(v) == 'number' and v >= 0 end },
  label = { 'true or false', function(v) return type(v) == 'boolean' end },
  keymaps = { 'a table or false', function(v) return v == false or type(v) == 'table' end },
  panel = { 'a table', function(v) return type(v) == 'table' end },
}

---@type spa_lsp.Config
M.current = vim.deepcopy(M.defaults)

--- Take the user's options over the defaults; one that cannot be used keeps its default.
---@param options? spa_lsp.Config
---@return string[] complaints
function M.use(options)
  local taken, complaints = {}, {}
  for key, value in pairs(options or {}) do
    local rule = rules[key]
    if not rule then
      table.insert(complaints, ('unknown option %q; known: %s'):format(key, M.names()))
    elseif not rule[2](value) then
      table.insert(complaints, ('option %q must be %s; its default is kept'):format(key, rule[1]))
    else
      taken[key] = value
    end
  end
  vim.list_extend(complaints, M.check_parts(taken))
  local merged = vim.tbl_deep_extend('force', M.defaults, taken)
  for _, key in ipairs({ 'cmd', 'filetypes', 'root_markers' }) do -- lists are replaced, not merged
    merged[key] = taken[key] or M.defaults[key]
  end
  M.current = merged
  return complaints
end

--- Take what cannot be used out of `keymaps` and `panel`.
---@param taken table
---@return string[] complaints
function M.check_parts(taken)
  local complaints = {}
  for name, key in pairs(type(taken.keymaps) == 'table' and taken.keymaps or {}) do
    if M.defaults.keymaps[name] == nil or not (key == false or type(key) == 'string') then
      table.insert(complaints, ('keymaps.%s is no key that can be set; see :help spa_lsp-keys'):format(name))
      taken.keymaps = vim.tbl_extend('force', taken.keymaps, { [name] = M.defaults.keymaps[name] })
    end
  end
  local layout = taken.panel and taken.panel.layout
  if layout ~= nil and layout ~= 'float' and layout ~= 'split' then
    table.insert(complaints, 'panel.layout must be "float" or "split"; its default is kept')
    taken.panel = nil
  end
  return complaints
end

---@param value any
---@return boolean
function M.is_texts(value)
  if type(value) ~= 'table' then
    return false
  end
  for _, each in ipairs(value) do
    if type(each) ~= 'string' then
      return false
    end
  end
  return #value == vim.tbl_count(value)
end

---@return string
function M.names()
  local names = vim.tbl_keys(rules)
  table.sort(names)
  return table.concat(names, ', ')
end

return M
