-- Put text into a buffer and the cursor behind it. Knows nothing of alternatives.

local M = {}

--- Replace what stands from `start` to `stop` by the text; the cursor follows where the window shows the buffer.
---@param bufnr integer
---@param text string
---@param start integer[] row and column in bytes, from 0
---@param stop integer[]
---@return integer[] the place behind it
function M.text(bufnr, text, start, stop)
  local lines = vim.split(text, '\n', { plain = true })
  M.begin_undo_step(bufnr)
  vim.api.nvim_buf_set_text(bufnr, start[1], start[2], stop[1], stop[2], lines)
  M.end_undo_step()
  local column = #lines == 1 and start[2] + #text or #lines[#lines]
  if vim.api.nvim_get_current_buf() == bufnr then
    vim.api.nvim_win_set_cursor(0, { start[1] + #lines, column })
  end
  return { start[1] + #lines - 1, column }
end

--- What was typed before stays when the user takes back what is inserted next. See `:help undo-break`.
---@param bufnr integer
function M.begin_undo_step(bufnr)
  vim.bo[bufnr].undolevels = vim.bo[bufnr].undolevels
end

--- And what is typed after it is a step of its own. The key comes before those that wait to be read.
function M.end_undo_step()
  if vim.startswith(vim.api.nvim_get_mode().mode, 'i') then
    vim.api.nvim_feedkeys(vim.keycode('<C-g>u'), 'ni', false)
  end
end

--- The cursor as row and column in bytes, from 0.
---@return integer[]
function M.cursor()
  local cursor = vim.api.nvim_win_get_cursor(0)
  return { cursor[1] - 1, cursor[2] }
end

--- A column of the protocol as bytes of its line.
---@param line string
---@param character integer
---@param encoding string
---@return integer
function M.byte_column(line, character, encoding)
  if encoding == 'utf-8' then
    return math.min(character, #line)
  elseif vim.fn.has('nvim-0.11') == 1 then
    return vim.str_byteindex(line, encoding, character, false)
  end
  return vim.str_byteindex(line, math.min(character, select(2, vim.str_utfindex(line))), encoding == 'utf-16')
end

return M
