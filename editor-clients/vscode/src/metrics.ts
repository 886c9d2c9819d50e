// The server's figures as a read-only document.
import * as vscode from 'vscode';

import { METRICS_COMMAND } from './protocol';
import type { Server } from './server';

const SCHEME = 'spa-lsp-metrics';

/** Shows what `spa-lsp.metrics` answers. */
export class Metrics implements vscode.Disposable, vscode.TextDocumentContentProvider {
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changed.event;
  private readonly registration = vscode.workspace.registerTextDocumentContentProvider(SCHEME, this);
  private readonly uri = vscode.Uri.parse(`${SCHEME}:spa-lsp metrics.json`);
  private text = '';

  constructor(private readonly server: Server) {}

  provideTextDocumentContent(): string {
    return this.text;
  }

  async show(): Promise<void> {
    if (!this.server.has(METRICS_COMMAND)) {
      throw new Error('this server keeps no figures; upgrade spa-lsp');
    }
    const figures = await this.server.request('workspace/executeCommand', { command: METRICS_COMMAND, arguments: [] });
    this.text = typeof figures === 'string' ? figures : JSON.stringify(figures, null, 2);
    this.changed.fire(this.uri);
    await vscode.window.showTextDocument(this.uri, { preview: true });
  }

  dispose(): void {
    vscode.Disposable.from(this.registration, this.changed).dispose();
  }
}
