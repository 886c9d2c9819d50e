import assert from 'node:assert/strict';
import { test } from 'node:test';

import { readPullLine, wantedPull } from '../pullProgress';

test('bytes become a share of the whole', () => {
  const step = readPullLine('pull qwen: 122.9 MB of 491.6 MB, 2.1 MB/s, 3 min 2 s left');
  assert.equal(step.message, 'pull qwen: 122.9 MB of 491.6 MB, 3 min 2 s left');
  assert.equal(step.percent, 25);
});

test('units are minded', () => {
  assert.equal(readPullLine('pull x: 500.0 MB of 1.0 GB, 2.1 MB/s, 3 s left').percent, 50);
});

test('counts become a share too', () => {
  assert.equal(readPullLine('convert x: 30 of 120 tensors, 9/s, 10 s left').percent, 25);
});

test('any other line is only a message', () => {
  assert.deepEqual(readPullLine('pull qwen: 491.4 MB'), { message: 'pull qwen: 491.4 MB' });
});

test('a message that asks for a pull names the base', () => {
  const message = 'the base tiny.1 is not on this machine; run: spa-lsp models pull tiny.1';
  assert.equal(wantedPull(message), 'tiny.1');
  assert.equal(wantedPull('no base is here; run: spa-lsp models pull'), '');
  assert.equal(wantedPull('fix it with `spa-lsp models pull a-b.c --force`'), 'a-b.c');
});

test('a message that asks for something else does not', () => {
  assert.equal(wantedPull('see its log'), undefined);
});
