// The selected Python interpreter: what the Python extension says, else its setting.
import * as vscode from 'vscode';

import { isRecord } from './protocol';

const PYTHON_EXTENSION = 'ms-python.python';

/** Path of the selected interpreter; undefined without one, and where the workspace must not choose programs. */
export async function selectedInterpreter(): Promise<string | undefined> {
  if (!vscode.workspace.isTrusted) {
    return undefined;
  }
  const environments = await pythonEnvironments();
  const resource = vscode.workspace.workspaceFolders?.[0]?.uri;
  const active = environments?.getActiveEnvironmentPath?.(resource)?.path;
  return active || vscode.workspace.getConfiguration('python', resource).get<string>('defaultInterpreterPath');
}

/** Call `onChange` whenever another interpreter is selected. */
export async function watchInterpreter(onChange: () => void): Promise<vscode.Disposable | undefined> {
  return (await pythonEnvironments())?.onDidChangeActiveEnvironmentPath?.(onChange);
}

interface Environments {
  getActiveEnvironmentPath?(resource?: vscode.Uri): { path?: string } | undefined;
  onDidChangeActiveEnvironmentPath?(listener: () => void): vscode.Disposable;
}

async function pythonEnvironments(): Promise<Environments | undefined> {
  try {
    const api: unknown = await vscode.extensions.getExtension(PYTHON_EXTENSION)?.activate();
    return isRecord(api) ? (api['environments'] as Environments | undefined) : undefined;
  } catch {
    return undefined; // that extension's own trouble, of which it tells itself
  }
}
