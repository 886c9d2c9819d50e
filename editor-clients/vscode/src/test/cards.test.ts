import assert from 'node:assert/strict';
import { test } from 'node:test';

import { readAlternatives, readFromPanel, replacedUntil, toCards } from '../cards';
import { panelPage } from '../panelPage';

const alternative = (text: string, index = 0) => ({ text, adapter: `a${index + 1}`, label: `label ${index + 1}`, index });

test('each card shows what the first one lacks', () => {
  const [first, second] = toCards([alternative('return a'), alternative('return b', 1)], '');
  assert.deepEqual(first?.pieces, [{ text: 'return a', isNew: false }]);
  assert.deepEqual(second?.pieces, [
    { text: 'return ', isNew: false },
    { text: 'b', isNew: true },
  ]);
});

test('the first line stands under the others', () => {
  const [card] = toCards([alternative('if a:\n        b')], '    ');
  assert.equal(card?.pieces.map((piece) => piece.text).join(''), '    if a:\n        b');
});

test('code before the cursor is not repeated', () => {
  const [card] = toCards([alternative('1')], 'x = ');
  assert.equal(card?.pieces.map((piece) => piece.text).join(''), '1');
});

test('figures that the server does not send are left out', () => {
  const [bare, full] = toCards([alternative('a'), { ...alternative('b'), n_tokens: 4, mean_logprob: -0.5, finish: 'length' }], '');
  assert.equal(bare?.facts, '');
  assert.equal(full?.facts, '4 tokens · -0.50 nats per token · not finished');
});

test('an answer without alternatives has none', () => {
  assert.deepEqual(readAlternatives(null), []);
  assert.deepEqual(readAlternatives({ alternatives: [{ text: '' }, null, 3] }), []);
});

// issue 13
test('an alternative takes the place of what its range says, behind the cursor', () => {
  const cursor = { line: 1, character: 4 };
  const until = (line: number, character: number) => ({ ...alternative('a):'), range: { end: { line, character } } });
  assert.equal(replacedUntil(until(1, 5), cursor), 5);
  assert.equal(replacedUntil(until(2, 9), cursor), 4);
  assert.equal(replacedUntil(alternative('a'), cursor), 4);
});

test('only known messages of the panel are read', () => {
  assert.deepEqual(readFromPanel({ type: 'insert', number: 2 }), { type: 'insert', number: 2 });
  assert.equal(readFromPanel({ type: 'insert', number: 'x' }), undefined);
  assert.equal(readFromPanel({ type: 'run', command: 'x' }), undefined);
});

test('the page allows one script and one style sheet, and no network', () => {
  const page = panelPage({ script: 's.js', style: 's.css', source: 'https://editor', nonce: 'abc' });
  const policy = /Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1] ?? '';
  assert.match(policy, /^default-src 'none'; style-src https:\/\/editor; script-src 'nonce-abc';/);
  assert.doesNotMatch(policy, /unsafe|connect-src|\*/);
  assert.equal(page.match(/<script/g)?.length, 1);
});
