-- The plugin's own ghost text, for Neovim before 0.12 and where it is asked for: asks, draws, follows what is typed.

local alternatives = require('spa_lsp.alternatives')
local config = require('spa_lsp.config')
local insert = require('spa_lsp.insert')
local leaving = require('spa_lsp.leaving')
local server = require('spa_lsp.server')

local M = {}

M.namespace = vim.api.nvim_create_namespace('spa_lsp.ghost')

---@class spa_lsp.Ghost
---@field all spa_lsp.Alternative[] the newest answer
---@field chosen? spa_lsp.Alternative one of them
---@field start? integer[] where they begin: row and column in bytes
---@field behind? string what stood behind the cursor then
---@field asked? integer id of the request that has no answer yet
---@field turn integer grows with every request; only the newest answer counts
---@field timer? uv.uv_timer_t

---@type table<integer, spa_lsp.Ghost>
local ghosts = {}

---@param bufnr integer
---@param on_change fun(bufnr: integer) called when what is shown may have changed
function M.attach(bufnr, on_change)
  if ghosts[bufnr] then
    return
  end
  ghosts[bufnr] = { all = {}, turn = 0 }
  local group = vim.api.nvim_create_augroup('spa_lsp.ghost.' .. bufnr, {})
  vim.api.nvim_create_autocmd({ 'InsertEnter', 'CursorMovedI', 'TextChangedI', 'TextChangedP', 'FocusGained' }, {
    group = group,
    buffer = bufnr,
    callback = function()
      M.draw(bufnr)
      on_change(bufnr)
      if config.current.auto_trigger then
        M.ask_soon(bufnr, on_change)
      end
    end,
  })
  leaving.watch(bufnr, function()
    if not M.is_idle(bufnr) then
      M.clear(bufnr)
      on_change(bufnr)
    end
  end)
end

--- Whether nothing is shown, known or asked for.
---@param bufnr integer
---@return boolean
function M.is_idle(bufnr)
  local ghost = ghosts[bufnr]
  return not ghost or not (ghost.chosen or ghost.asked or ghost.timer)
end

---@param bufnr integer
function M.detach(bufnr)
  if ghosts[bufnr] then
    M.clear(bufnr)
    leaving.forget(bufnr)
    vim.api.nvim_del_augroup_by_name('spa_lsp.ghost.' .. bufnr)
    ghosts[bufnr] = nil
  end
end

---@param bufnr integer
---@param on_change fun(bufnr: integer)
function M.ask_soon(bufnr, on_change)
  local ghost = ghosts[bufnr]
  M.stop_timer(ghost)
  ghost.timer = vim.defer_fn(function()
    if ghosts[bufnr] == ghost then
      M.ask(bufnr, 2, on_change)
    end
  end, config.current.debounce_ms)
end

--- Ask the server; the request before is cancelled, and an answer that comes too late is not shown.
---@param bufnr integer
---@param kind 1|2
---@param on_change fun(bufnr: integer)
function M.ask(bufnr, kind, on_change)
  local ghost, client = ghosts[bufnr], server.client(bufnr)
  if not ghost or not client or not leaving.is_typing(bufnr) then
    return
  end
  M.cancel(bufnr)
  local turn, tick, at = ghost.turn, vim.api.nvim_buf_get_changedtick(bufnr), insert.cursor()
  local function is_current()
    return ghosts[bufnr] == ghost
      and ghost.turn == turn
      and leaving.is_typing(bufnr)
      and vim.api.nvim_buf_get_changedtick(bufnr) == tick
      and vim.deep_equal(insert.cursor(), at)
  end
  local params = server.params(client, kind)
  local _, id = server.call(client, 'request', 'textDocument/inlineCompletion', params, function(err, result)
    if not err and is_current() then -- an error is in Neovim's log, and nothing that the user can fix
      ghost.asked = nil
      M.take(bufnr, alternatives.from_result(result), client.offset_encoding)
      on_change(bufnr)
    end
  end, bufnr)
  ghost.asked = id
end

--- Let go of the request that has no answer yet, and of the one that is about to be made.
---@param bufnr integer
function M.cancel(bufnr)
  local ghost, client = ghosts[bufnr], server.client(bufnr)
  ghost.turn = ghost.turn + 1
  if ghost.asked and client then
    server.call(client, 'cancel_request', ghost.asked)
  end
  ghost.asked = nil
  M.stop_timer(ghost)
end

---@param ghost spa_lsp.Ghost
function M.stop_timer(ghost)
  if ghost.timer and not ghost.timer:is_closing() then
    ghost.timer:stop()
    ghost.timer:close()
  end
  ghost.timer = nil
end

--- Show a new answer; the alternative on screen stays in front when it is in it.
---@param bufnr integer
---@param found spa_lsp.Alternative[]
---@param encoding string
function M.take(bufnr, found, encoding)
  local ghost = ghosts[bufnr]
  local left = ghost.chosen and M.left(bufnr, ghost.chosen)
  local kept = left and { adapter = ghost.chosen.adapter, text = left }
  local at, line = insert.cursor(), vim.api.nvim_get_current_line()
  local range = found[1] and found[1].range
  ghost.all, ghost.behind = found, line:sub(at[2] + 1)
  ghost.start = { at[1], range and insert.byte_column(line, range.start.character, encoding) or at[2] }
  for _, each in ipairs(found) do
    local stop = each.range and insert.byte_column(line, each.range['end'].character, encoding) or at[2]
    each.replaced = math.max(stop - at[2], 0)
  end
  ghost.chosen = found[alternatives.place_of(found, kept)]
  M.draw(bufnr)
end

--- Show the first alternatives of an answer that is still to come.
---@param bufnr integer
---@param result table with `items`
---@param client vim.lsp.Client
function M.take_first(bufnr, result, client)
  if ghosts[bufnr].asked and not M.is_shown(bufnr) then
    M.take(bufnr, alternatives.from_result(result), client.offset_encoding)
  end
end

--- What is left to insert of an alternative at the cursor; nil: it does not fit what was typed.
---@param bufnr integer
---@param alternative spa_lsp.Alternative
---@return string?
function M.left(bufnr, alternative)
  local ghost, at = ghosts[bufnr], insert.cursor()
  local start = ghost.start
  if not start or at[1] < start[1] or (at[1] == start[1] and at[2] < start[2]) then
    return nil
  end
  local behind = vim.api.nvim_get_current_line():sub(at[2] + 1)
  if behind ~= ghost.behind or start[1] >= vim.api.nvim_buf_line_count(bufnr) then
    return nil
  end
  local typed = vim.api.nvim_buf_get_text(bufnr, start[1], start[2], at[1], at[2], {})
  local left = alternatives.remainder(alternative.text, table.concat(typed, '\n'))
  return left ~= '' and left or nil
end

--- The alternatives that still fit, and which of them is chosen.
---@param bufnr integer
---@return spa_lsp.Alternative[], integer
function M.fitting(bufnr)
  local ghost, fitting, place = ghosts[bufnr], {}, 1
  for _, each in ipairs(ghost and leaving.is_typing(bufnr) and ghost.all or {}) do
    if M.left(bufnr, each) then
      table.insert(fitting, each)
      place = each == ghost.chosen and #fitting or place
    end
  end
  return fitting, place
end

---@param bufnr integer
---@return spa_lsp.Shown?
function M.current(bufnr)
  local fitting, place = M.fitting(bufnr)
  return fitting[place] and { alternative = fitting[place], place = place, count = #fitting }
end

---@param bufnr integer
---@return boolean
function M.is_shown(bufnr)
  return M.current(bufnr) ~= nil
end

--- Draw what is left of the chosen alternative at the cursor.
---@param bufnr integer
function M.draw(bufnr)
  vim.api.nvim_buf_clear_namespace(bufnr, M.namespace, 0, -1)
  local shown = M.current(bufnr)
  if not shown then
    return
  end
  ghosts[bufnr].chosen = shown.alternative
  local lines = vim.tbl_map(function(line)
    return { { line, 'SpaLspGhost' } }
  end, vim.split(M.left(bufnr, shown.alternative), '\n', { plain = true }))
  local at = insert.cursor()
  vim.api.nvim_buf_set_extmark(bufnr, M.namespace, at[1], at[2], {
    virt_text = lines[1],
    virt_text_pos = 'inline',
    virt_lines = vim.list_slice(lines, 2),
    hl_mode = 'combine',
  })
end

---@param bufnr integer
---@param delta integer
function M.select(bufnr, delta)
  local fitting, place = M.fitting(bufnr)
  if #fitting > 0 then
    ghosts[bufnr].chosen = fitting[alternatives.step(place, delta, #fitting)]
    M.draw(bufnr)
  end
end

--- Insert the alternative on screen, or a part of it.
---@param bufnr integer
---@param part? 'word'|'line'
---@param on_part fun(alternative: spa_lsp.Alternative, inserted: string)
function M.accept(bufnr, part, on_part)
  local shown = M.current(bufnr)
  if not shown then
    return
  end
  local at, left = insert.cursor(), M.left(bufnr, shown.alternative)
  local inserted = alternatives.part(left, part)
  local is_whole = inserted == left
  insert.text(bufnr, inserted, at, { at[1], at[2] + (is_whole and shown.alternative.replaced or 0) })
  if is_whole then
    M.clear(bufnr)
    local command = shown.alternative.command
    if command then
      server.execute(command.command, command.arguments, nil, bufnr)
    end
  else
    M.draw(bufnr)
    on_part(shown.alternative, inserted)
  end
end

--- Forget the answer and any request.
---@param bufnr integer
function M.clear(bufnr)
  local ghost = ghosts[bufnr]
  if ghost then
    M.cancel(bufnr)
    ghost.all, ghost.chosen, ghost.start = {}, nil, nil
    vim.api.nvim_buf_clear_namespace(bufnr, M.namespace, 0, -1)
  end
end

---@param bufnr integer
---@param on_change fun(bufnr: integer)
function M.trigger(bufnr, on_change)
  M.ask(bufnr, 1, on_change)
end

return M
