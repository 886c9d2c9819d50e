-- Alternatives as values: out of the server's items, what is left of them while the user types, parts of them. Pure.

local M = {}

---@class spa_lsp.Alternative
---@field text string
---@field label string
---@field adapter string
---@field range? lsp.Range
---@field replaced? integer bytes behind the cursor that it takes the place of, where it was asked for
---@field command? lsp.Command run after it was inserted

--- The alternatives in an answer to `textDocument/inlineCompletion`, in the server's order.
---@param result? table
---@return spa_lsp.Alternative[]
function M.from_result(result)
  if type(result) ~= 'table' then
    return {}
  end
  return vim.tbl_map(M.from_item, result.items or result)
end

---@param item table an inline completion item of the protocol, or one of Neovim's own
---@return spa_lsp.Alternative
function M.from_item(item)
  local text = item.insertText or item.insert_text
  text = type(text) == 'table' and text.value or text
  local facts = M.facts(item.command)
  return {
    text = (text:gsub('\r\n', '\n')),
    label = facts.label or (item.command and item.command.title) or facts.adapter or '',
    adapter = facts.adapter or '',
    range = item.range,
    command = item.command,
  }
end

--- What the server said about an alternative: set, index, adapter.
---@param command? lsp.Command
---@return table
function M.facts(command)
  local first = command and command.arguments and command.arguments[1]
  return type(first) == 'table' and first or {}
end

--- What is left of a text when this much of it was typed; nil: something else was typed.
---@param text string
---@param typed string
---@return string?
function M.remainder(text, typed)
  return vim.startswith(text, typed) and text:sub(#typed + 1) or nil
end

--- The first word with what stands before it.
---@param text string
---@return string
function M.word(text)
  return text:match('^%s*[%w_\128-\255]+') or text:match('^%s*[^%w_%s]+') or text
end

--- The first line that is not empty, without the line break after it.
---@param text string
---@return string
function M.line(text)
  return text:match('^\n*[^\n]+') or text
end

--- The part of a text that a key takes.
---@param text string
---@param part? 'word'|'line'
---@return string
function M.part(text, part)
  return part and M[part](text) or text
end

--- The place after `delta` steps among `count`, around both ends.
---@param place integer
---@param delta integer
---@param count integer
---@return integer
function M.step(place, delta, count)
  return (place - 1 + delta) % count + 1
end

---@class spa_lsp.Kept
---@field adapter string
---@field text string what was left of it

--- Where an alternative that the user had chosen stands in a new answer: its continuation, else its adapter's.
---@param found spa_lsp.Alternative[]
---@param kept? spa_lsp.Kept
---@return integer
function M.place_of(found, kept)
  for i, each in ipairs(kept and found or {}) do
    if each.text == kept.text then
      return i
    end
  end
  for i, each in ipairs(kept and found or {}) do
    if each.adapter ~= '' and each.adapter == kept.adapter then
      return i
    end
  end
  return 1
end

--- "2/5 · label"
---@param alternative spa_lsp.Alternative
---@param place integer
---@param count integer
---@return string
function M.title(alternative, place, count)
  local label = alternative.label ~= '' and ' · ' .. alternative.label or ''
  return ('%d/%d%s'):format(place, count, label)
end

return M
