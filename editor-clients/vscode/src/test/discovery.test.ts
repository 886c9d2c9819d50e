import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';

import { findServer, isProgram, type Surroundings } from '../discovery';

const AROUND: Surroundings = {
  setting: '',
  interpreter: undefined,
  searchPath: '/usr/local/bin:/usr/bin',
  home: '/home/ada',
  platform: 'linux',
};
const only =
  (...files: string[]) =>
  (file: string): boolean =>
    files.includes(file);

test('the setting goes before everything else', () => {
  const around = { ...AROUND, setting: '/opt/spa-lsp', interpreter: '/venv/bin/python' };
  const exists = only('/opt/spa-lsp', '/venv/bin/spa-lsp', '/usr/bin/spa-lsp');
  assert.deepEqual(findServer(around, exists), { program: '/opt/spa-lsp' });
});

test('a setting that names no program is said so, and nothing else is tried', () => {
  const found = findServer({ ...AROUND, setting: '/opt/gone' }, only('/usr/bin/spa-lsp'));
  assert.match('missing' in found ? found.missing : '', /spaLsp\.server\.path.*\/opt\/gone/);
});

test('a setting relative to nowhere is refused', () => {
  assert.ok('missing' in findServer({ ...AROUND, setting: 'bin/spa-lsp' }, () => true));
});

test('a tilde in the setting is the home folder', () => {
  const found = findServer({ ...AROUND, setting: '~/venv/bin/spa-lsp' }, only('/home/ada/venv/bin/spa-lsp'));
  assert.deepEqual(found, { program: '/home/ada/venv/bin/spa-lsp' });
});

test('the program beside the selected interpreter goes before PATH', () => {
  const exists = only('/venv/bin/spa-lsp', '/usr/bin/spa-lsp');
  assert.deepEqual(findServer({ ...AROUND, interpreter: '/venv/bin/python3' }, exists), { program: '/venv/bin/spa-lsp' });
});

test('PATH is the last place, in its order', () => {
  const exists = only('/usr/local/bin/spa-lsp', '/usr/bin/spa-lsp');
  assert.deepEqual(findServer({ ...AROUND, interpreter: '/venv/bin/python' }, exists), { program: '/usr/local/bin/spa-lsp' });
});

test('relative entries of PATH are not followed', () => {
  assert.ok('missing' in findServer({ ...AROUND, searchPath: '.:bin::' }, () => true));
});

test('what is nowhere is said to be missing, with the places', () => {
  const found = findServer({ ...AROUND, interpreter: '/venv/bin/python' }, () => false);
  assert.match('missing' in found ? found.missing : '', /interpreter nor on PATH/);
});

test('a file that may not be executed is no program', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'spa'));
  const file = path.join(folder, 'spa-lsp');
  fs.writeFileSync(file, '', { mode: 0o644 });
  assert.equal(isProgram(file), false);
  fs.rmSync(folder, { recursive: true });
  assert.equal(isProgram('/'), false);
  assert.equal(isProgram(process.execPath), true);
});
