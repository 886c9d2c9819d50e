-- Neovim's own inline completion (>= 0.12) does the asking and drawing; this adds what it has no function for.

local alternatives = require('spa_lsp.alternatives')
local insert = require('spa_lsp.insert')
local leaving = require('spa_lsp.leaving')
local server = require('spa_lsp.server')

local M = {}

local method = 'textDocument/inlineCompletion'
local namespace = vim.api.nvim_create_namespace('nvim.lsp.inline_completion')

---@type table<integer, spa_lsp.Kept> by buffer: what to put in front again when Neovim starts over with the first
local kept = {}

---@return boolean
function M.is_available()
  return vim.lsp.inline_completion ~= nil
end

--- Neovim's object for a buffer. It is not public: without it there is no label and no trigger, and what is left of an
--- alternative after a part may give way to another one; nothing else is lost.
---@param bufnr integer
---@return table?
function M.completor(bufnr)
  local found, capability = pcall(require, 'vim.lsp._capability')
  local class = found and capability.all and capability.all.inline_completion
  return class and class.active and class.active[bufnr]
end

---@param bufnr integer
---@param on_change fun(bufnr: integer)
function M.attach(bufnr, on_change)
  vim.lsp.inline_completion.enable(true, { bufnr = bufnr })
  local group = vim.api.nvim_create_augroup('spa_lsp.native.' .. bufnr, {})
  local function look()
    vim.schedule(function()
      if vim.api.nvim_buf_is_valid(bufnr) then
        on_change(bufnr)
      end
    end)
  end
  vim.api.nvim_create_autocmd({ 'CursorMovedI', 'TextChangedP' }, { group = group, buffer = bufnr, callback = look })
  vim.api.nvim_create_autocmd('FocusGained', {
    group = group,
    buffer = bufnr,
    callback = function()
      local completor = M.completor(bufnr)
      if completor and leaving.is_typing(bufnr) then
        completor:request(2)
      end
    end,
  })
  leaving.watch(bufnr, function()
    kept[bufnr] = nil
    if M.is_shown(bufnr) then -- Neovim's own takes it away where `InsertLeave` fires
      M.clear(bufnr)
    end
    look()
  end)
  vim.api.nvim_create_autocmd('LspRequest', {
    group = group,
    buffer = bufnr,
    callback = function(event)
      local request = event.data.request
      if request.method == method and request.type == 'complete' then
        vim.schedule(function() -- Neovim's handler has its turn between the two
          M.put_kept_in_front(bufnr)
          look()
        end)
      end
    end,
  })
end

---@param bufnr integer
function M.detach(bufnr)
  M.cancel(bufnr)
  vim.lsp.inline_completion.enable(false, { bufnr = bufnr })
  leaving.forget(bufnr)
  pcall(vim.api.nvim_del_augroup_by_name, 'spa_lsp.native.' .. bufnr)
  kept[bufnr] = nil
end

--- Show the first alternatives of an answer that is still to come.
---@param bufnr integer
---@param result table with `items`
---@param client vim.lsp.Client
function M.take_first(bufnr, result, client)
  local completor = M.completor(bufnr)
  local shown = completor and completor.current
  local fits = kept[bufnr] or shown and M.left(bufnr, shown, alternatives.from_item(shown).text)
  if completor and not fits and #M.pending(client, bufnr) > 0 then
    completor:handler(nil, result, { client_id = client.id })
  end
end

--- Let go of requests: their answers would come to an object that is no more, which Neovim 0.12.4 does not survive.
---@param bufnr integer
function M.cancel(bufnr)
  for _, client in ipairs(vim.lsp.get_clients({ bufnr = bufnr, method = method })) do
    for _, id in ipairs(M.pending(client, bufnr)) do
      client:cancel_request(id)
    end
  end
end

--- The requests of a buffer that have no answer yet.
---@param client vim.lsp.Client
---@param bufnr integer
---@return integer[] ids
function M.pending(client, bufnr)
  local found = {}
  for id, request in pairs(client.requests) do
    if request.bufnr == bufnr and request.method == method and request.type == 'pending' then
      table.insert(found, id)
    end
  end
  return found
end

--- Whether anything is shown, of this server or of another one.
---@param bufnr integer
---@return boolean
function M.is_shown(bufnr)
  return #vim.api.nvim_buf_get_extmarks(bufnr, namespace, 0, -1, { limit = 1 }) > 0
end

---@param bufnr integer
---@return spa_lsp.Shown?
function M.current(bufnr)
  local completor = M.completor(bufnr)
  local item = completor and completor.current
  local client = item and vim.lsp.get_client_by_id(item.client_id)
  if not client or client.name ~= server.name then
    return nil
  end
  return { alternative = alternatives.from_item(item), place = item._index, count = completor:count_items() }
end

---@param bufnr integer
---@param delta integer
function M.select(bufnr, delta)
  vim.lsp.inline_completion.select({ bufnr = bufnr, count = delta })
  M.drop_count(bufnr)
end

--- Take Neovim's own "(2/5)" away: the hint says it too.
---@param bufnr integer
function M.drop_count(bufnr)
  if not M.current(bufnr) then
    return
  end
  for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(bufnr, namespace, 0, -1, { details = true })) do
    local id, row, column, details = unpack(mark)
    local lines = vim.list_extend({ details.virt_text }, details.virt_lines or {})
    if lines[#lines][#lines[#lines]][2] == 'ComplHintMore' then
      table.remove(lines[#lines])
      vim.api.nvim_buf_set_extmark(bufnr, namespace, row, column, {
        id = id,
        virt_text = details.virt_text,
        virt_text_pos = details.virt_text_pos,
        virt_lines = details.virt_lines,
        hl_mode = details.hl_mode,
      })
    end
  end
end

--- Insert the alternative on screen, or a part of it.
---@param bufnr integer
---@param part? 'word'|'line'
---@param on_part fun(alternative: spa_lsp.Alternative, inserted: string)
function M.accept(bufnr, part, on_part)
  kept[bufnr] = nil
  vim.lsp.inline_completion.get({
    bufnr = bufnr,
    on_accept = function(item)
      local client = vim.lsp.get_client_by_id(item.client_id)
      if not client or client.name ~= server.name then
        return item
      end
      M.insert(bufnr, item, part, on_part)
    end,
  })
end

--- Neovim's own insertion takes the place of the request for the cursor's: what was typed since would stand there twice.
---@param bufnr integer
---@param item table of Neovim
---@param part? 'word'|'line'
---@param on_part fun(alternative: spa_lsp.Alternative, inserted: string)
function M.insert(bufnr, item, part, on_part)
  local alternative, at = alternatives.from_item(item), insert.cursor()
  local left, n_replaced = M.left(bufnr, item, alternative.text)
  local inserted = left and alternatives.part(left, part)
  if not inserted then
    return
  end
  local is_whole = inserted == left
  insert.text(bufnr, inserted, at, { at[1], at[2] + (is_whole and n_replaced or 0) })
  if not is_whole then
    kept[bufnr] = { adapter = alternative.adapter, text = left:sub(#inserted + 1) }
    vim.schedule(function() on_part(alternative, inserted) end)
  elseif item.command then -- it says that all of it was accepted
    vim.lsp.get_client_by_id(item.client_id):exec_cmd(item.command, { bufnr = bufnr })
  end
end

--- What is left of an item's text at the cursor, and how many bytes behind it give way; nil: something else was typed.
---@param bufnr integer
---@param item table of Neovim
---@param text string
---@return string? left, integer n_replaced
function M.left(bufnr, item, text)
  if not item.range then
    return text, 0
  end
  local start_row, start_column, end_row, end_column = item.range:to_extmark()
  local at = insert.cursor()
  if at[1] < start_row or (at[1] == start_row and at[2] < start_column) then
    return nil, 0
  end
  local typed = vim.api.nvim_buf_get_text(bufnr, start_row, start_column, at[1], at[2], {})
  local left = alternatives.remainder(text, table.concat(typed, '\n'))
  return left ~= '' and left or nil, end_row == start_row and end_column - start_column or 0
end

--- After a part was accepted: show the rest of the same alternative, wherever it stands in the new answer.
---@param bufnr integer
function M.put_kept_in_front(bufnr)
  local completor, wanted = M.completor(bufnr), kept[bufnr]
  if not wanted or not completor or not M.current(bufnr) then
    return
  end
  kept[bufnr] = nil
  local found = {}
  for i = 1, completor:count_items() do
    local _, item = completor:get_item(i)
    found[i] = alternatives.from_item(item)
  end
  local place = alternatives.place_of(found, wanted)
  if place ~= M.current(bufnr).place then
    M.select(bufnr, place - M.current(bufnr).place)
  end
end

---@param bufnr integer
function M.clear(bufnr)
  kept[bufnr] = nil
  M.cancel(bufnr)
  vim.lsp.inline_completion.enable(false, { bufnr = bufnr })
  vim.lsp.inline_completion.enable(true, { bufnr = bufnr })
end

---@param bufnr integer
function M.trigger(bufnr)
  local completor = M.completor(bufnr)
  if completor then
    completor:request(1)
  end
end

return M
