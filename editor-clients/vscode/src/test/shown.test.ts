import assert from 'node:assert/strict';
import { test } from 'node:test';

import { current, cycled, offered, title, typed, type Showing } from '../shown';

const TEXTS = ['return a + b', 'return sum([a, b])', 'raise ValueError'];
const PLACE = { uri: 'file:///a.py', version: 1, offset: 10 };
const toChoices = (texts: string[]) => texts.map((text, n) => ({ text, label: `label ${n + 1}`, origin: { index: n } }));

function show(texts = TEXTS, at = 0): Showing {
  const showing = offered(undefined, { ...PLACE, choices: toChoices(texts) });
  assert.ok(showing);
  return { ...showing, at };
}

const type = (showing: Showing, text: string, removed = 0): Showing | undefined =>
  typed(showing, [{ offset: showing.offset, removed, text }], showing.version + 1);

test('the first alternative of an answer is shown', () => {
  assert.equal(title(show()), '1/3 · label 1');
});

test('an empty answer shows nothing', () => {
  assert.equal(offered(show(), { ...PLACE, choices: [] }), undefined);
});

test('the same text is counted once, and an empty one not at all', () => {
  assert.equal(title(show(['a', 'a', '', 'b'])), '1/2 · label 1');
});

test('next goes from the last to the first, previous back', () => {
  assert.equal(title(cycled(show(TEXTS, 2), 1)), '1/3 · label 1');
  assert.equal(title(cycled(show(TEXTS, 0), -1)), '3/3 · label 3');
});

test('a second answer at the same place keeps the alternative on screen', () => {
  const again = offered(show(TEXTS, 1), { ...PLACE, choices: toChoices(TEXTS) });
  assert.equal(again && title(again), '2/3 · label 2');
});

test('an answer at another place begins with its first alternative', () => {
  const elsewhere = offered(show(TEXTS, 1), { ...PLACE, offset: 11, choices: toChoices(TEXTS) });
  assert.equal(elsewhere && title(elsewhere), '1/3 · label 1');
});

test('an answer after typing begins with its first alternative', () => {
  const after = type(show(TEXTS, 1), 'ret');
  const again = offered(after, { ...PLACE, offset: 13, choices: toChoices(['urn a + b', 'urn sum([a, b])']) });
  assert.equal(again && title(again), '1/2 · label 1');
});

test('typing keeps those that say the same, and the one on screen', () => {
  const after = type(show(TEXTS, 1), 'ret');
  assert.equal(after && title(after), '2/2 · label 2');
  assert.equal(after && current(after).text, 'urn sum([a, b])');
});

test('typing away from the alternative on screen shows the first that fits', () => {
  const after = type(show(TEXTS, 0), 'ra');
  assert.equal(after && title(after), '1/1 · label 3');
});

test('typing what no alternative says hides them', () => {
  assert.equal(type(show(), 'x'), undefined);
});

test('the whole text hides them: it is accepted', () => {
  assert.equal(type(show(), TEXTS[0] ?? ''), undefined);
});

test('an edit elsewhere, a deletion and two edits at once hide them', () => {
  const edit = { offset: 3, removed: 0, text: 'r' };
  assert.equal(typed(show(), [edit], 2), undefined);
  assert.equal(type(show(), 'r', 1), undefined);
  assert.equal(typed(show(), [{ ...edit, offset: 10 }, edit], 2), undefined);
});

test('a line break in a document with CRLF agrees with one in an alternative', () => {
  const after = type(show(['if a:\n    b']), 'if a:\r\n');
  assert.equal(after && current(after).text, '    b');
  assert.equal(after?.offset, 10 + 'if a:\r\n'.length);
});
