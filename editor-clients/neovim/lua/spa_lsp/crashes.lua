-- When a server that ended by itself is started again: four times in three minutes, then the user is asked. Pure.

local M = {}

M.MAX_RESTARTS = 4
M.WINDOW_S = 180

---@type number[]
local times = {}

--- Whether a process that ended like this ended by itself, and not because it was told to.
---@param code integer
---@param signal integer
---@return boolean
function M.is_crash(code, signal)
  return code ~= 0 or (signal ~= 0 and signal ~= 15)
end

--- Note one more; whether the server may be started again at once.
---@param now_s number
---@return boolean
function M.may_restart(now_s)
  times = vim.tbl_filter(function(time) return now_s - time < M.WINDOW_S end, times)
  table.insert(times, now_s)
  return #times <= M.MAX_RESTARTS
end

--- The user starts it: what was before does not count.
function M.forget()
  times = {}
end

return M
