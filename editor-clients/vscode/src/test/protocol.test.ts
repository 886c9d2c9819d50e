import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isAtLeast, readStatus } from '../protocol';

test('versions are compared by number', () => {
  assert.equal(isAtLeast('0.10.0', '0.9.3'), true);
  assert.equal(isAtLeast('0.9.3', '0.9.3'), true);
  assert.equal(isAtLeast('0.9.2', '0.9.3'), false);
  assert.equal(isAtLeast('1.0', '0.9.3'), true);
});

test('what is no version is not refused', () => {
  assert.equal(isAtLeast('unknown', '0.1.0'), true);
});

test('a status is read, anything else is not', () => {
  assert.equal(readStatus({ state: 'busy', k: 8 })?.k, 8);
  assert.equal(readStatus({ state: 'dancing' }), undefined);
  assert.equal(readStatus(null), undefined);
});
