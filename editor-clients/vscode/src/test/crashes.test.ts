import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Crashes, WINDOW_MS } from '../crashes';

test('four ends in three minutes are forgiven, the fifth is not', () => {
  const crashes = new Crashes(() => 0);
  assert.deepEqual([1, 2, 3, 4, 5].map(() => crashes.mayRestart()), [true, true, true, true, false]);
});

test('ends that lie far apart are always forgiven', () => {
  let now = 0;
  const crashes = new Crashes(() => (now += WINDOW_MS));
  assert.ok(Array.from({ length: 20 }, () => crashes.mayRestart()).every(Boolean));
});
