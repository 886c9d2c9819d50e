// Why the file in the active editor gets nothing, as the server says it; for the status bar.
import * as vscode from 'vscode';

import { WHY_NOT, isRecord } from './protocol';
import type { Server } from './server';

/** Asks when another file is shown, and when a rule may have come or gone. */
export class Refusal implements vscode.Disposable {
  /** A sentence with the rule; undefined: the file is served, or nobody knows. */
  message: string | undefined;
  readonly onDidChange: vscode.Event<void>;

  private readonly changed = new vscode.EventEmitter<void>();
  private readonly listeners: vscode.Disposable[];

  constructor(private readonly server: Server) {
    this.onDidChange = this.changed.event;
    const ask = (): void => void this.ask();
    this.listeners = [
      vscode.window.onDidChangeActiveTextEditor(ask),
      vscode.workspace.onDidSaveTextDocument(ask),
      vscode.workspace.onDidChangeWorkspaceFolders(ask),
      server.onDidChangeStatus(ask),
    ];
  }

  dispose(): void {
    vscode.Disposable.from(...this.listeners, this.changed).dispose();
  }

  private async ask(): Promise<void> {
    const document = vscode.window.activeTextEditor?.document;
    const message = document && (await this.messageOf(document));
    if (vscode.window.activeTextEditor?.document === document && message !== this.message) {
      this.message = message;
      this.changed.fire();
    }
  }

  private async messageOf(document: vscode.TextDocument): Promise<string | undefined> {
    try {
      const answer = await this.server.request(WHY_NOT, { textDocument: { uri: this.server.converter?.asUri(document.uri) } });
      return isRecord(answer) && typeof answer['message'] === 'string' && answer['message'] ? answer['message'] : undefined;
    } catch {
      return undefined; // it does not run, or is older than this request
    }
  }
}
