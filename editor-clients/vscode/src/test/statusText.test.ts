import assert from 'node:assert/strict';
import { test } from 'node:test';

import { statusLook } from '../statusText';

test('the alternative on screen stands in the status bar', () => {
  assert.equal(statusLook({ state: 'ready' }, '2/5 · recursion').text, '$(layers) 2/5 · recursion');
});

// issue 15
test('code in a label is no icon', () => {
  const shown = '2/5 · base: echo $(date)';
  assert.equal(statusLook({ state: 'ready' }, shown).text, '$(layers) 2/5 · base: echo \\$(date)');
});

test('without one it is the state', () => {
  assert.equal(statusLook({ state: 'loading' }, undefined).text, '$(loading~spin) SPA');
});

// issue 16
test('a server elsewhere that gets the text is named', () => {
  const look = statusLook({ state: 'ready', sends_to: 'gpu-box:8000' }, '2/5');
  assert.equal(look.text, '$(layers) 2/5 → gpu-box:8000');
  assert.match(look.tooltip, /your text leaves this editor, to: gpu-box:8000/);
});

test('when it is off no alternative stands there', () => {
  assert.equal(statusLook({ state: 'off' }, '2/5').text, '$(circle-slash) SPA');
});

test('a problem is marked, and its click says what it is', () => {
  const look = statusLook({ state: 'error', message: 'no base' }, undefined);
  assert.equal(look.isProblem, true);
  assert.equal(look.command, 'spaLsp.showProblem');
  assert.match(look.tooltip, /no base/);
});

// issue 13
test('a file that is left alone is marked, and the tooltip names the rule', () => {
  const look = statusLook({ state: 'ready' }, undefined, 'this file is left alone (built-in: .env)');
  assert.equal(look.text, '$(circle-slash) SPA');
  assert.match(look.tooltip, /built-in: \.env/);
  assert.equal(look.isProblem, false);
});

test('what is wrong comes before the rule', () => {
  assert.match(statusLook({ state: 'error', message: 'no base' }, undefined, 'left alone').tooltip, /no base/);
});

test("the server's words cannot become links", () => {
  const look = statusLook({ state: 'error', message: '[x](command:evil)' }, undefined);
  assert.doesNotMatch(look.tooltip, /\[x\]\(command:evil\)/);
});

test('the tooltip links to no command that it does not name', () => {
  const look = statusLook({ state: 'ready' }, undefined);
  const linked = [...look.tooltip.matchAll(/\(command:([\w.]+)\)/g)].map((match) => match[1]);
  assert.deepEqual(linked, look.links);
});
