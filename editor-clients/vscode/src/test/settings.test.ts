import assert from 'node:assert/strict';
import { test } from 'node:test';

import { namedBase, serverOptions, toggled, type Inspected } from '../settings';

const options = (inspected: Record<string, Inspected>): Record<string, unknown> =>
  serverOptions(Object.keys(inspected), (name) => inspected[name]);

test('nothing is sent that the user has not set', () => {
  assert.deepEqual(options({ base: {}, alternatives: { globalValue: null } }), {});
});

test('what a folder says stands apart from what the user has set', () => {
  const set = { ignore: { globalValue: ['secret/'], workspaceValue: ['!secret/'] }, stop: { workspaceValue: 'single' } };
  assert.deepEqual(options(set), { ignore: ['secret/'], workspace: { ignore: ['!secret/'], stop: 'single' } });
});

test('of what a folder says the nearest is sent', () => {
  assert.deepEqual(options({ maxTokens: { workspaceValue: 20, workspaceFolderValue: 30 } }), { workspace: { maxTokens: 30 } });
});

test('false, zero and the empty text are values', () => {
  const set = { recordOutcomes: { globalValue: false }, suffixChars: { globalValue: 0 }, adapterSet: { globalValue: '' } };
  assert.deepEqual(options(set), { recordOutcomes: false, suffixChars: 0, adapterSet: '' });
});

test("the extension's own settings are not sent", () => {
  assert.deepEqual(options({ enabled: { globalValue: false }, 'server.path': { globalValue: '/x' } }), {});
});

test('a language is added, and removed by the second time', () => {
  assert.deepEqual(toggled(undefined, 'python'), { globalValue: ['python'] });
  assert.deepEqual(toggled({ globalValue: ['go', 'python'] }, 'python'), { globalValue: ['go'] });
  assert.deepEqual(toggled({ globalValue: 'nonsense' }, 'go'), { globalValue: ['go'] });
});

test('a language is off until no list has it', () => {
  assert.deepEqual(toggled({ globalValue: ['go'], workspaceValue: ['c'] }, 'go'), { globalValue: [] });
  const both = { globalValue: ['go'], workspaceValue: ['go', 'c'] };
  assert.deepEqual(toggled(both, 'go'), { globalValue: [], workspaceValue: ['c'] });
  assert.deepEqual(toggled({ globalValue: ['go'], workspaceValue: [] }, 'c'), { workspaceValue: ['c'] });
});

// #15
test('auto names no base that could be fetched or listed', () => {
  assert.deepEqual(['auto', null, undefined, '', 'smollm2-135m-instruct'].map(namedBase), ['', '', '', '', 'smollm2-135m-instruct']);
});
