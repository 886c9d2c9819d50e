import assert from 'node:assert/strict';
import { test } from 'node:test';

import { differing } from '../diff';

const marked = (text: string, other: string): string =>
  differing(text, other)
    .map((piece) => (piece.isNew ? `[${piece.text}]` : piece.text))
    .join('');

test('equal texts have no difference', () => {
  assert.equal(marked('return a', 'return a'), 'return a');
});

test('whole words differ, never single letters', () => {
  assert.equal(marked('return total', 'return totals'), 'return [total]');
});

test('what the other text has more is not shown', () => {
  assert.equal(marked('return a', 'return a + b'), 'return a');
});

test('the pieces are the text, whatever it holds', () => {
  const text = 'naïve = "😀"\r\n\tif x:\n';
  assert.equal(differing(text, 'x = 1').map((piece) => piece.text).join(''), text);
});

test('an empty text has no pieces', () => {
  assert.deepEqual(differing('', 'a'), []);
});

test('a very long text is marked as a whole', () => {
  const long = 'a b '.repeat(2000);
  assert.deepEqual(differing(long, 'a'), [{ text: long, isNew: true }]);
});
