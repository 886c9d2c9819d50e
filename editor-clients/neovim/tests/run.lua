-- Load every module, make the help tags, then run the unit tests: nvim --clean --headless -l tests/run.lua

local root = vim.fs.dirname(vim.fs.dirname(vim.fn.fnamemodify(debug.getinfo(1, 'S').source:sub(2), ':p')))
vim.opt.runtimepath:prepend(root)

local function load_all()
  for name in vim.fs.dir(root .. '/lua/spa_lsp') do
    require('spa_lsp.' .. name:gsub('%.lua$', ''))
  end
  vim.cmd.source(root .. '/plugin/spa_lsp.lua')
  assert(dofile(root .. '/lsp/spa_lsp.lua').name == 'spa_lsp')
end

local function make_tags()
  local folder = vim.fn.tempname()
  vim.fn.mkdir(folder, 'p')
  vim.uv.fs_copyfile(root .. '/doc/spa_lsp.txt', folder .. '/spa_lsp.txt')
  vim.cmd.helptags(folder)
  local tags = table.concat(vim.fn.readfile(folder .. '/tags'), '\n')
  for name in pairs(require('spa_lsp.config').defaults.keymaps) do
    local plug = require('spa_lsp.keymaps').plug(name)
    assert(tags:find(plug, 1, true), plug .. ' is not in the help')
  end
  local text = table.concat(vim.fn.readfile(root .. '/doc/spa_lsp.txt'), '\n')
  for _, name in ipairs(require('spa_lsp.commands').names()) do
    assert(text:find('\n    [a-z, ]*' .. vim.pesc(name)), name .. ' is not in the help')
  end
  for name in vim.gsplit(require('spa_lsp.config').names(), ', ') do
    assert(text:find('\n      ' .. name .. ' = '), name .. ' is not in the help')
  end
end

local function run_tests()
  local failed, count = 0, 0
  for name, test in vim.spairs(dofile(root .. '/tests/units.lua')) do
    local is_good, message = xpcall(test, debug.traceback)
    count, failed = count + 1, failed + (is_good and 0 or 1)
    if not is_good then
      io.stderr:write(('FAILED %s: %s\n'):format(name, message))
    end
  end
  print(('%d tests, %d failed'):format(count, failed))
  return failed
end

load_all()
make_tags()
os.exit(run_tests() == 0 and 0 or 1)
