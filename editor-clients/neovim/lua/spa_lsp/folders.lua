-- The folders of a client that serves several projects: Neovim tells the server of the first only.

local server = require('spa_lsp.server')

local M = {}

---@type table<integer, table[]> by client id: those that the server is to be told of once it has started
local waiting = {}

--- The client serves this folder, too.
---@param client vim.lsp.Client
---@param path? string
function M.add(client, path)
  if not path or path == '' then
    return
  end
  local folder = { uri = vim.uri_from_fname(path), name = path }
  local known = client.workspace_folders or {}
  for _, each in ipairs(known) do
    if each.uri == folder.uri then
      return
    end
  end
  client.workspace_folders = vim.list_extend({}, known)
  table.insert(client.workspace_folders, folder)
  waiting[client.id] = waiting[client.id] or {}
  table.insert(waiting[client.id], folder)
  if client.initialized then
    M.tell(client)
  end
end

--- Tell the server of the folders that it does not know yet.
---@param client vim.lsp.Client
function M.tell(client)
  local added = waiting[client.id]
  waiting[client.id] = nil
  if added then
    local event = { added = added, removed = {} }
    server.call(client, 'notify', 'workspace/didChangeWorkspaceFolders', { event = event })
  end
end

--- Its client is no more.
---@param client_id integer
function M.forget(client_id)
  waiting[client_id] = nil
end

return M
