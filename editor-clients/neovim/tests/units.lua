-- Unit tests of what is pure, by name; `run.lua` runs them.

local alternatives = require('spa_lsp.alternatives')
local commands = require('spa_lsp.commands')
local config = require('spa_lsp.config')
local display = require('spa_lsp.display')
local folders = require('spa_lsp.folders')
local insert = require('spa_lsp.insert')
local panel = require('spa_lsp.panel')
local refusal = require('spa_lsp.refusal')
local server = require('spa_lsp.server')

local function same(found, expected)
  assert(vim.deep_equal(found, expected), vim.inspect(found) .. ' is not ' .. vim.inspect(expected))
end

local function item(text, adapter)
  local facts = { setId = 's', index = 0, adapter = adapter, language = 'lua' }
  return { insertText = text, command = { title = 'label of ' .. adapter, arguments = { facts } } }
end

local M = {}

function M.items_of_a_list_or_bare_are_taken()
  same(alternatives.from_result({ items = { item('x', 'a1') } })[1].text, 'x')
  same(alternatives.from_result({ item('x', 'a1') })[1].label, 'label of a1')
  same(alternatives.from_result(vim.NIL), {})
  same(alternatives.from_result(nil), {})
end

function M.an_item_without_command_has_no_label()
  local found = alternatives.from_item({ insertText = { kind = 'snippet', value = 'a\r\nb' } })
  same({ found.text, found.label, found.adapter }, { 'a\nb', '', '' })
end

-- issue 13: the panel ignored the range
function M.an_alternative_of_the_panel_takes_the_place_of_its_range()
  local bufnr = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_lines(bufnr, 0, -1, false, { 'é = f(🙂)' })
  local place = { bufnr = bufnr, at = { 0, 11 }, encoding = 'utf-16' }
  same(panel.stop_of(place, { range = { ['end'] = { line = 0, character = 9 } } }), { 0, 12 })
  same(panel.stop_of(place, {}), { 0, 11 })
end

-- issue 13: the settings of a second project were never read
function M.a_client_that_is_used_again_is_told_of_the_folder_once_it_has_started()
  local told = {}
  local client = { id = 7, workspace_folders = { { uri = 'file:///one', name = '/one' } } }
  client.notify = function(...)
    local arguments = { ... }
    table.insert(told, arguments[#arguments].event.added)
  end
  folders.add(client, '/two')
  folders.add(client, '/one')
  folders.add(client, nil)
  same(told, {})
  client.initialized = true
  folders.tell(client)
  folders.add(client, '/two')
  folders.add(client, '/three')
  same(told, { { { uri = 'file:///two', name = '/two' } }, { { uri = 'file:///three', name = '/three' } } })
end

function M.what_was_typed_is_taken_off()
  same(alternatives.remainder('return x', 'ret'), 'urn x')
  same(alternatives.remainder('return x', ''), 'return x')
  same(alternatives.remainder('return x', 'raise'), nil)
end

function M.a_word_has_the_blanks_before_it()
  same(alternatives.word('return x'), 'return')
  same(alternatives.word(' größe = 1'), ' größe')
  same(alternatives.word('\n    x = 1'), '\n    x')
  same(alternatives.word('([a, b])'), '([')
  same(alternatives.word('   '), '   ')
end

function M.a_line_has_no_break_behind_it()
  same(alternatives.line('a = 1\nb = 2'), 'a = 1')
  same(alternatives.line('\n  b = 2\nc'), '\n  b = 2')
  same(alternatives.line('\n'), '\n')
end

function M.steps_go_around_both_ends()
  same({ alternatives.step(1, -1, 3), alternatives.step(3, 1, 3), alternatives.step(2, -4, 3) }, { 3, 1, 1 })
end

function M.the_rest_of_a_text_is_found_before_its_adapter()
  local found = alternatives.from_result({ item('x', 'a1'), item('y', 'a2'), item('z', 'a3') })
  same(alternatives.place_of(found, { adapter = 'a2', text = 'z' }), 3)
  same(alternatives.place_of(found, { adapter = 'a2', text = 'gone' }), 2)
  same(alternatives.place_of(found, { adapter = 'a9', text = 'gone' }), 1)
  same(alternatives.place_of(found, nil), 1)
end

function M.a_title_has_a_label_only_where_there_is_one()
  same(alternatives.title({ label = 'loops' }, 2, 5), '2/5 · loops')
  same(alternatives.title({ label = '' }, 2, 5), '2/5')
end

function M.an_option_that_cannot_be_used_keeps_its_default()
  local complaints = config.use({ debounce_ms = 'soon', cmd = {}, typo = 1, keymaps = { jump = 'x' }, label = false })
  same(#complaints, 4)
  same({ config.current.debounce_ms, config.current.cmd[1], config.current.label }, { 100, 'spa-lsp', false })
  config.use({})
end

function M.a_key_may_be_left_out()
  same(config.use({ keymaps = { accept = false, next = '<C-n>' } }), {})
  same({ config.current.keymaps.accept, config.current.keymaps.next, config.current.keymaps.prev }, { false, '<C-n>', '<M-[>' })
  config.use({})
end

function M.a_list_takes_the_place_of_the_default()
  same(config.use({ root_markers = { 'go.mod' } }), {})
  same(config.current.root_markers, { 'go.mod' })
  config.use({})
end

function M.columns_are_counted_as_the_server_does()
  same(insert.byte_column('aä😀x', 4, 'utf-16'), 7)
  same(insert.byte_column('aä😀x', 3, 'utf-32'), 7)
  same(insert.byte_column('aä😀x', 7, 'utf-8'), 7)
end

function M.subcommands_and_their_arguments_are_completed()
  same(commands.complete('to', 'SpaLsp to'), { 'toggle' })
  same(commands.complete('b', 'SpaLsp toggle b'), { 'buffer' })
  same(commands.complete('', 'SpaLsp status '), {})
end

-- issue 13: what came for a buffer that was wiped out made another one of its name
function M.what_comes_first_for_no_buffer_makes_none()
  local n = #vim.api.nvim_list_bufs()
  display.on_first_items(nil, { textDocument = { uri = 'file:///gone.py', version = 1 } }, { client_id = 1 })
  same(#vim.api.nvim_list_bufs(), n)
end

-- issue 13
function M.an_answer_about_a_buffer_that_is_no_more_is_not_kept()
  local client, call, answer = server.client, server.call, nil
  server.client = function() return {} end
  server.call = function(_, _, _, _, on_answer) answer = on_answer end
  refusal.ask(1)
  refusal.forget(1)
  answer(nil, { message = 'this file is left alone' })
  server.client, server.call = client, call
  same(refusal.of(1), nil)
end

function M.lists_of_the_server_have_names()
  same(commands.names_in({ selected = 'a', sets = { { name = 'a' }, { name = 'b' } } }), { 'a', 'b' })
  same(commands.names_in({ selected = 'x', bases = { { id = 'x' } } }), { 'x' })
  same(commands.names_in(vim.NIL), {})
end

function M.the_panel_has_a_title_over_each_text()
  local lines, firsts = panel.lines({ { text = 'a\nb', label = 'one' }, { text = 'c', label = 'two' } })
  same(lines, { '1/2 · one', 'a', 'b', '', '2/2 · two', 'c' })
  same(firsts, { 1, 5 })
end

function M.the_servers_alternatives_carry_the_accept_command()
  local each = { text = 'x', label = 'loops', adapter = 'a2', index = 1, same_as = 1 }
  local params = { textDocument = { uri = vim.uri_from_bufnr(0) } }
  local found = panel.from_result({ base = 'b', adapter_set = 's', alternatives = { each } }, params)[1]
  same(found.label, 'loops (same as 1)')
  local facts = { setId = 's', index = 1, adapter = 'a2', label = 'loops', language = '', uri = params.textDocument.uri }
  same(alternatives.facts(found.command), facts)
end

-- issue 15: a line of a .gitignore ran as code in `%!`
function M.nothing_in_a_status_line_is_code()
  local client, of = server.client, refusal.of
  server.client = function() return { id = 1 } end
  refusal.of = function() return 'ignored by *[%{execute("let g:ran = 1")}y]' end
  local is_good, shown = pcall(vim.api.nvim_eval_statusline, "%!v:lua.require'spa_lsp'.statusline()", {})
  server.client, refusal.of = client, of
  assert(is_good, shown)
  same({ vim.g.ran, shown.str }, { nil, 'spa: ignored by *[％{execute("let g:ran = 1")}y]' })
end

return M
