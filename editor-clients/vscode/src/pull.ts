// `spa-lsp models pull` with its progress in a notification. The program fetches; the extension itself never does.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import * as vscode from 'vscode';

import { readPullLine } from './pullProgress';

/** Fetch a base, the default one when `base` is empty; whether it is there now. */
export async function pullModel(program: string, base: string, log: vscode.LogOutputChannel): Promise<boolean> {
  const options = { location: vscode.ProgressLocation.Notification, title: 'Downloading the model', cancellable: true };
  const failure = await vscode.window.withProgress(options, (progress, token) => {
    let reached = 0;
    return run(program, ['models', 'pull', ...(base ? [base] : [])], token, (line) => {
      log.info(line);
      const { message, percent } = readPullLine(line);
      progress.report({ message, increment: percent === undefined ? 0 : Math.max(0, percent - reached) });
      reached = Math.max(reached, percent ?? 0);
    });
  });
  if (failure && (await vscode.window.showErrorMessage(failure, 'Show Log')) === 'Show Log') {
    log.show();
  }
  return failure === undefined;
}

/** Run it; undefined when it succeeded, otherwise the sentence it ended with, empty when it was cancelled. */
function run(
  program: string,
  args: string[],
  token: vscode.CancellationToken,
  onLine: (line: string) => void,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let last = `${program} ${args.join(' ')} failed`;
    token.onCancellationRequested(() => child.kill('SIGINT'));
    createInterface({ input: child.stderr }).on('line', (line) => {
      last = line.trim() || last;
      onLine(line);
    });
    child.on('error', (error) => resolve(error.message));
    child.on('close', (status) => {
      const failure = token.isCancellationRequested ? '' : last.replace(/^Error: /, '');
      resolve(status === 0 ? undefined : failure);
    });
  });
}
