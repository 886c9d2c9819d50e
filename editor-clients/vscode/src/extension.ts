// Entry point: makes the parts and connects them.
import * as vscode from 'vscode';

import { isEnabled, registerCommands } from './commands';
import { Metrics } from './metrics';
import { Notices } from './notices';
import { Panel } from './panel';
import { isRecord } from './protocol';
import { watchInterpreter } from './python';
import { Refusal } from './refusal';
import { Server } from './server';
import { StatusBar } from './statusBar';
import { Tracker } from './tracker';

const CHANGE_DELAY_MS = 300; // a list of settings is often written one by one

let server: Server | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const log = vscode.window.createOutputChannel('spa-lsp', { log: true });
  const notices = new Notices();
  const tracker: Tracker = new Tracker(isEnabled, () => running);
  const running = (server = new Server(settingNames(context), tracker.middleware, log, notices));
  const statusBar = new StatusBar();
  const panel = new Panel(context.extensionUri, running);
  const metrics = new Metrics(running);
  const refusal = new Refusal(running);
  const update = (): void => {
    const status = isEnabled() ? running.status : ({ ...running.status, state: 'off', message: '' } as const);
    statusBar.update(status, tracker.showing, refusal.message);
    void vscode.commands.executeCommand('setContext', 'spaLsp.showing', tracker.showing !== undefined);
    void vscode.commands.executeCommand('setContext', 'spaLsp.ready', running.status.state === 'ready');
  };
  const extensionId = context.extension.id;
  context.subscriptions.push(
    ...[log, running, tracker, statusBar, panel, metrics, refusal],
    ...registerCommands({ server: running, tracker, panel, metrics, notices, log, extensionId }),
    running.onDidChangeStatus(update),
    tracker.onDidChange(update),
    refusal.onDidChange(update),
    ...watchSettings(running, tracker, update),
  );
  update();
  const restart = (): void => void running.restartIfChanged();
  void watchInterpreter(restart).then((watch) => watch && context.subscriptions.push(watch));
  await running.restart();
}

export async function deactivate(): Promise<void> {
  await server?.stop();
}

function watchSettings(running: Server, tracker: Tracker, update: () => void): vscode.Disposable[] {
  let timer: NodeJS.Timeout | undefined;
  const restartSoon = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => void running.restartIfChanged(), CHANGE_DELAY_MS);
  };
  return [
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration('spaLsp.enabled')) {
        tracker.forget();
        void vscode.commands.executeCommand('editor.action.inlineSuggest.hide');
        update();
        if (isEnabled()) {
          void running.restart(); // the editor asks again where it had no answer only when the provider is new
        }
      }
      if (event.affectsConfiguration('spaLsp') || event.affectsConfiguration('python')) {
        restartSoon();
      }
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(restartSoon),
    new vscode.Disposable(() => clearTimeout(timer)),
  ];
}

/** All settings that package.json declares, without their prefix. */
function settingNames(context: vscode.ExtensionContext): string[] {
  const manifest: unknown = context.extension.packageJSON;
  const contributes = isRecord(manifest) ? manifest['contributes'] : undefined;
  const configuration = isRecord(contributes) ? contributes['configuration'] : undefined;
  const properties = isRecord(configuration) ? configuration['properties'] : undefined;
  return Object.keys(properties ?? {}).map((name) => name.replace(/^spaLsp\./, ''));
}
