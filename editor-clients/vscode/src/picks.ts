// Choosing a base or an adapter set from a list; the choice becomes a setting, and the server starts anew with it.
import * as vscode from 'vscode';

import { runJson } from './cli';
import { isRecord } from './protocol';
import type { Server } from './server';
import { explicitValue, namedBase } from './settings';

interface Pick extends vscode.QuickPickItem {
  /** What the setting becomes; undefined removes it. */
  value: string | undefined;
}

/** Choose the adapter set among those for the base in use. */
export async function selectSet(server: Server): Promise<void> {
  const base = server.status.base ?? namedBase(readSetting('base'));
  const rows = await list(server, ['adapters', 'list', ...(base ? ['--base', base] : [])]);
  const picks = rows.map((row) => ({
    label: String(row['name']),
    description: `${row['k']} adapters, ${row['source']}${row['is_in_use'] ? ', in use' : ''}`,
    detail: String(row['method'] ?? ''),
    value: String(row['name']),
  }));
  const inUse: Pick = { label: 'The one in use', description: 'newest published, else the shipped one', value: undefined };
  await choose('adapterSet', [inUse, ...picks, { label: 'None', description: 'the base alone', value: '' }]);
}

/** Choose the base among those in the catalog; one that is not here is offered for download. */
export async function selectBase(server: Server): Promise<void> {
  const rows = await list(server, ['models', 'list']);
  const picks = rows.map((row) => ({
    label: String(row['id']),
    description: [row['is_ready'] ? 'ready' : 'not downloaded', row['is_default'] ? 'default' : ''].filter(Boolean).join(', '),
    detail: `${(Number(row['n_bytes']) / 1e9).toFixed(1)} GB, ${row['licence']}`,
    value: String(row['id']),
  }));
  const chosen = await choose('base', [{ label: 'The default', value: undefined }, ...picks]);
  if (chosen && rows.some((row) => row['id'] === chosen.value && !row['is_ready'])) {
    await vscode.commands.executeCommand('spaLsp.pullModel', chosen.value);
  }
}

/** Change a setting where it is set: in the workspace if it is set there, else for the user. */
export async function writeSetting(name: string, value: unknown): Promise<void> {
  const configuration = vscode.workspace.getConfiguration('spaLsp');
  const isInWorkspace = configuration.inspect(name)?.workspaceValue !== undefined;
  const target = isInWorkspace ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global;
  await configuration.update(name, value, target);
}

/** What the user has set, or undefined. */
export function readSetting(name: string): unknown {
  return explicitValue(vscode.workspace.getConfiguration('spaLsp').inspect(name));
}

async function list(server: Server, args: string[]): Promise<Record<string, unknown>[]> {
  if (!server.program) {
    throw new Error('the server program was not found');
  }
  const rows = await runJson(server.program, args);
  return Array.isArray(rows) ? rows.filter(isRecord) : [];
}

async function choose(setting: string, picks: Pick[]): Promise<Pick | undefined> {
  const now = readSetting(setting) ?? undefined;
  const marked = picks.map((pick) => (pick.value === now ? { ...pick, label: `$(check) ${pick.label}` } : pick));
  const chosen = await vscode.window.showQuickPick(marked, { placeHolder: `spaLsp.${setting}`, matchOnDetail: true });
  if (chosen) {
    await writeSetting(setting, chosen.value);
  }
  return chosen;
}
