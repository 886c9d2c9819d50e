import assert from 'node:assert/strict';
import { test } from 'node:test';

import { serverOptions, toggled, type Inspected } from '../settings';

const options = (inspected: Record<string, Inspected>): Record<string, unknown> =>
  serverOptions(Object.keys(inspected), (name) => inspected[name]);

test('nothing is sent that the user has not set', () => {
  assert.deepEqual(options({ base: {}, alternatives: { globalValue: null } }), {});
});

test('the nearest value is sent', () => {
  assert.deepEqual(options({ maxTokens: { globalValue: 10, workspaceValue: 20, workspaceFolderValue: 30 } }), { maxTokens: 30 });
  assert.deepEqual(options({ maxTokens: { globalValue: 10, workspaceValue: 20 } }), { maxTokens: 20 });
});

test('false, zero and the empty text are values', () => {
  const set = { recordOutcomes: { globalValue: false }, suffixChars: { globalValue: 0 }, adapterSet: { globalValue: '' } };
  assert.deepEqual(options(set), { recordOutcomes: false, suffixChars: 0, adapterSet: '' });
});

test("the extension's own settings are not sent", () => {
  assert.deepEqual(options({ enabled: { globalValue: false }, 'server.path': { globalValue: '/x' } }), {});
});

test('a language is added, and removed by the second time', () => {
  assert.deepEqual(toggled(undefined, 'python'), ['python']);
  assert.deepEqual(toggled(['go', 'python'], 'python'), ['go']);
  assert.deepEqual(toggled('nonsense', 'go'), ['go']);
});
