// The commands of the extension, `spaLsp.*`; those of the server, `spa-lsp.*`, are registered by the language client.
import * as vscode from 'vscode';

import type { Metrics } from './metrics';
import type { Notices } from './notices';
import type { Panel } from './panel';
import { readSetting, selectBase, selectSet, writeSetting } from './picks';
import { pullModel } from './pull';
import type { Server } from './server';
import { namedBase, toggled } from './settings';
import type { Tracker } from './tracker';

export interface Parts {
  server: Server;
  tracker: Tracker;
  panel: Panel;
  metrics: Metrics;
  notices: Notices;
  log: vscode.LogOutputChannel;
  extensionId: string;
}

/** Register all commands. An error in one is shown as a sentence. */
export function registerCommands(parts: Parts): vscode.Disposable[] {
  const { server, tracker, panel, metrics, notices, log } = parts;
  const commands: Record<string, (...args: unknown[]) => unknown> = {
    trigger: () => vscode.commands.executeCommand('editor.action.inlineSuggest.trigger'),
    nextAlternative: () => tracker.cycle(1),
    previousAlternative: () => tracker.cycle(-1),
    acceptWord: () => tracker.acceptPart('acceptNextWord'),
    acceptLine: () => tracker.acceptPart('acceptNextLine'),
    dismiss: () => tracker.dismiss(),
    openPanel: () => panel.open(),
    toggle: () => writeSetting('enabled', !isEnabled()),
    toggleLanguage,
    selectSet: () => selectSet(server),
    selectBase: () => selectBase(server),
    showMetrics: () => metrics.show(),
    showLog: () => log.show(),
    showProblem: () => notices.showAgain() || log.show(),
    showInstall: () => vscode.commands.executeCommand('workbench.action.openWalkthrough', `${parts.extensionId}#start`),
    pullModel: (base) => pull(parts, base),
    restart: () => {
      notices.forget();
      return server.restart();
    },
  };
  return Object.entries(commands).map(([name, run]) => register(name, run, log));
}

/** Whether the extension is switched on. */
export function isEnabled(): boolean {
  return vscode.workspace.getConfiguration('spaLsp').get('enabled', true);
}

function register(name: string, run: (...args: unknown[]) => unknown, log: vscode.LogOutputChannel): vscode.Disposable {
  return vscode.commands.registerCommand(`spaLsp.${name}`, async (...args: unknown[]) => {
    try {
      await run(...args);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      log.error(`spaLsp.${name}: ${text}`);
      void vscode.window.showErrorMessage(`spa-lsp: ${text}`);
    }
  });
}

async function toggleLanguage(): Promise<void> {
  const language = vscode.window.activeTextEditor?.document.languageId;
  if (!language) {
    void vscode.window.showInformationMessage('Put the cursor into a file of the language first.');
    return;
  }
  const configuration = vscode.workspace.getConfiguration('spaLsp');
  const { globalValue, workspaceValue } = toggled(configuration.inspect('disabledLanguages'), language);
  const { Global, Workspace } = vscode.ConfigurationTarget;
  for (const [target, languages] of [[Global, globalValue], [Workspace, workspaceValue]] as const) {
    if (languages) {
      await configuration.update('disabledLanguages', languages.length ? languages : undefined, target);
    }
  }
  const state = [globalValue, workspaceValue].some((languages) => languages?.includes(language)) ? 'off' : 'on';
  void vscode.window.setStatusBarMessage(`spa-lsp is ${state} in ${language}.`, 4000);
}

async function pull({ server, notices, log }: Parts, base: unknown): Promise<void> {
  if (!server.program) {
    notices.showAgain();
    return;
  }
  const wanted = namedBase(typeof base === 'string' ? base : readSetting('base'));
  if (await pullModel(server.program, wanted, log)) {
    notices.forget();
    await server.restart();
  }
}
