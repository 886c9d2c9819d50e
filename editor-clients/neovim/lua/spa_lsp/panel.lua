-- All alternatives one below the other in a window of their own; a number or <CR> inserts one.

local alternatives = require('spa_lsp.alternatives')
local config = require('spa_lsp.config')
local display = require('spa_lsp.display')
local insert = require('spa_lsp.insert')
local server = require('spa_lsp.server')

local M = {}

M.namespace = vim.api.nvim_create_namespace('spa_lsp.panel')

local METHOD_NOT_FOUND = -32601

---@class spa_lsp.Place where the alternatives belong
---@field bufnr integer
---@field window integer
---@field at integer[]
---@field tick integer
---@field is_typing boolean
---@field encoding string of the positions in the server's answers

--- Ask for the alternatives at the cursor and show them.
function M.open()
  local bufnr = vim.api.nvim_get_current_buf()
  local client = server.client(bufnr)
  if not client then
    vim.notify('spa_lsp: the server does not run here; see :checkhealth spa_lsp', vim.log.levels.WARN)
    return
  end
  local place = {
    bufnr = bufnr,
    window = vim.api.nvim_get_current_win(),
    at = insert.cursor(),
    tick = vim.api.nvim_buf_get_changedtick(bufnr),
    is_typing = vim.startswith(vim.api.nvim_get_mode().mode, 'i'),
    encoding = client.offset_encoding,
  }
  M.ask(client, server.params(client, 1), function(found, title, why)
    if #found == 0 then
      local said = why or server.waits_for(client) or 'there is nothing to insert here'
      vim.notify('spa_lsp: ' .. said, vim.log.levels.INFO)
    elseif vim.api.nvim_get_current_win() == place.window then
      M.show(place, found, title)
    end
  end)
end

--- Ask by the server's own method, or by the standard one where it has none.
---@param client vim.lsp.Client
---@param params table
---@param on_found fun(found: spa_lsp.Alternative[], title: string, why?: string) `why`: nothing is offered in this file
function M.ask(client, params, on_found)
  server.call(client, 'request', 'spa-lsp/alternatives', params, function(err, result)
    if not err and type(result) == 'table' then
      local why = result.reason == 'ignored' and result.message or nil
      on_found(M.from_result(result, params), M.window_title(result), why)
    elseif err and err.code == METHOD_NOT_FOUND then
      server.call(client, 'request', 'textDocument/inlineCompletion', params, function(_, answer)
        on_found(alternatives.from_result(answer), ' spa-lsp ')
      end)
    end
  end)
end

---@param result table an answer to `spa-lsp/alternatives`
---@param params table
---@return spa_lsp.Alternative[]
function M.from_result(result, params)
  local language = vim.bo[vim.uri_to_bufnr(params.textDocument.uri)].filetype
  return vim.tbl_map(function(each)
    local facts = {
      setId = result.adapter_set or '',
      index = each.index,
      adapter = each.adapter,
      label = each.label,
      language = language,
      uri = params.textDocument.uri,
    }
    local command = { title = each.label, command = 'spa-lsp.accept', arguments = { facts } }
    local is_same = type(each.same_as) == 'number'
    local label = is_same and ('%s (same as %d)'):format(each.label, each.same_as) or each.label
    return { text = each.text, label = label, adapter = each.adapter, range = each.range, command = command }
  end, result.alternatives or {})
end

---@param result table
---@return string
function M.window_title(result)
  return (' %s · %s '):format(result.base or 'spa-lsp', result.adapter_set or 'no adapter set')
end

---@param place spa_lsp.Place
---@param found spa_lsp.Alternative[]
---@param title string
function M.show(place, found, title)
  local bufnr = vim.api.nvim_create_buf(false, true)
  local lines, firsts = M.lines(found)
  vim.api.nvim_buf_set_lines(bufnr, 0, -1, false, lines)
  M.highlight(bufnr, found, firsts)
  vim.bo[bufnr].modifiable = false
  vim.bo[bufnr].bufhidden = 'wipe'
  vim.bo[bufnr].syntax = vim.bo[place.bufnr].filetype
  local window = M.open_window(bufnr, lines, title)
  vim.wo[window].wrap = false
  vim.cmd.stopinsert() -- in the panel: leaving insert mode in the text would take its automatic indent away
  display.clear(place.bufnr)
  M.set_keys(bufnr, window, place, found, firsts)
end

--- The panel's text, and the line of each alternative's title, from 1.
---@param found spa_lsp.Alternative[]
---@return string[], integer[]
function M.lines(found)
  local lines, firsts = {}, {}
  for i, each in ipairs(found) do
    firsts[i] = #lines + 1
    table.insert(lines, alternatives.title(each, i, #found))
    vim.list_extend(lines, vim.split(each.text, '\n', { plain = true }))
    table.insert(lines, '')
  end
  table.remove(lines)
  return lines, firsts
end

--- Titles, and in every alternative but the first the lines that the first does not have.
---@param bufnr integer
---@param found spa_lsp.Alternative[]
---@param firsts integer[]
function M.highlight(bufnr, found, firsts)
  local known = {}
  for i, each in ipairs(found) do
    M.mark(bufnr, firsts[i] - 1, 'SpaLspPanelTitle')
    for n, line in ipairs(vim.split(each.text, '\n', { plain = true })) do
      local words = vim.trim(line)
      if i == 1 then
        known[words] = true
      elseif words ~= '' and not known[words] then
        M.mark(bufnr, firsts[i] - 1 + n, 'SpaLspPanelDiff')
      end
    end
  end
end

---@param bufnr integer
---@param row integer
---@param group string
function M.mark(bufnr, row, group)
  local line = vim.api.nvim_buf_get_lines(bufnr, row, row + 1, false)[1]
  vim.api.nvim_buf_set_extmark(bufnr, M.namespace, row, 0, { end_col = #line, hl_group = group })
end

---@param bufnr integer
---@param lines string[]
---@param title string
---@return integer window
function M.open_window(bufnr, lines, title)
  if config.current.panel.layout == 'split' then
    vim.cmd('botright split')
    vim.api.nvim_win_set_buf(0, bufnr)
    vim.api.nvim_win_set_height(0, math.min(#lines, math.floor(vim.o.lines / 2)))
    return vim.api.nvim_get_current_win()
  end
  local width = vim.fn.strdisplaywidth(title)
  for _, line in ipairs(lines) do
    width = math.max(width, vim.fn.strdisplaywidth(line))
  end
  return vim.api.nvim_open_win(bufnr, true, {
    relative = 'cursor',
    row = 1,
    col = 0,
    width = math.max(math.min(width + 1, vim.o.columns - 4), 1),
    height = math.max(math.min(#lines, vim.o.lines - 6), 1),
    style = 'minimal',
    border = 'rounded',
    title = title,
  })
end

---@param bufnr integer
---@param window integer
---@param place spa_lsp.Place
---@param found spa_lsp.Alternative[]
---@param firsts integer[]
function M.set_keys(bufnr, window, place, found, firsts)
  local function map(key, action, what)
    vim.keymap.set('n', key, action, { buffer = bufnr, nowait = true, desc = 'spa_lsp: ' .. what })
  end
  local function take(i)
    M.close(window, place)
    M.insert(place, found[i])
  end
  for i = 1, math.min(#found, 9) do
    map(tostring(i), function() take(i) end, 'insert alternative ' .. i)
  end
  map('<CR>', function() take(M.under_cursor(firsts)) end, 'insert this alternative')
  map(']]', function() M.jump(firsts, 1) end, 'next alternative')
  map('[[', function() M.jump(firsts, -1) end, 'previous alternative')
  for _, key in ipairs({ 'q', '<Esc>' }) do
    map(key, function() M.close(window, place) end, 'close')
  end
end

---@param firsts integer[]
---@return integer
function M.under_cursor(firsts)
  local line, found = vim.api.nvim_win_get_cursor(0)[1], 1
  for i, first in ipairs(firsts) do
    found = first <= line and i or found
  end
  return found
end

---@param firsts integer[]
---@param delta integer
function M.jump(firsts, delta)
  local to = alternatives.step(M.under_cursor(firsts), delta, #firsts)
  vim.api.nvim_win_set_cursor(0, { firsts[to], 0 })
end

--- Back to the text, in the mode that the user came from.
---@param window integer
---@param place spa_lsp.Place
function M.close(window, place)
  if vim.api.nvim_win_is_valid(window) then
    vim.api.nvim_win_close(window, true)
  end
  if vim.api.nvim_win_is_valid(place.window) then
    vim.api.nvim_set_current_win(place.window)
  end
  if place.is_typing then
    M.type_at(place.at)
  end
end

---@param place spa_lsp.Place
---@param alternative spa_lsp.Alternative
function M.insert(place, alternative)
  if not vim.api.nvim_buf_is_valid(place.bufnr) or vim.api.nvim_buf_get_changedtick(place.bufnr) ~= place.tick then
    vim.notify('spa_lsp: the text has changed since; open the panel again', vim.log.levels.WARN)
    return
  elseif not vim.bo[place.bufnr].modifiable then
    vim.notify('spa_lsp: the alternative was not inserted: this file cannot be changed', vim.log.levels.WARN)
    return
  end
  local behind = insert.text(place.bufnr, alternative.text, place.at, M.stop_of(place, alternative))
  if place.is_typing then
    M.type_at(behind)
  end
  local command = alternative.command
  if command then
    server.execute(command.command, command.arguments, nil, place.bufnr)
  end
end

--- Where what the alternative takes the place of ends: brackets that the editor closed, the rest of a word.
---@param place spa_lsp.Place
---@param alternative spa_lsp.Alternative
---@return integer[]
function M.stop_of(place, alternative)
  local range = alternative.range
  local line = vim.api.nvim_buf_get_lines(place.bufnr, place.at[1], place.at[1] + 1, false)[1]
  local column = range and insert.byte_column(line, range['end'].character, place.encoding) or place.at[2]
  return { place.at[1], math.max(column, place.at[2]) }
end

--- Insert mode at this place; behind the last character, where Normal mode has no cursor, by `bang`.
---@param at integer[]
function M.type_at(at)
  local line = vim.api.nvim_buf_get_lines(0, at[1], at[1] + 1, false)[1]
  vim.api.nvim_win_set_cursor(0, { at[1] + 1, at[2] })
  vim.cmd.startinsert({ bang = at[2] >= #line })
end

return M
