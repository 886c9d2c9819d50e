// The status bar item.
import * as vscode from 'vscode';

import type { Status } from './protocol';
import { title, type Showing } from './shown';
import { statusLook } from './statusText';

/** Shows the server's state, and the number and label of the alternative on screen. */
export class StatusBar implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem('spaLsp.status', vscode.StatusBarAlignment.Right, 100);

  constructor() {
    this.item.name = 'spa-lsp';
    this.item.show();
  }

  update(status: Status, showing: Showing | undefined, refusal?: string): void {
    const look = statusLook(status, showing && title(showing), refusal);
    this.item.text = look.text;
    this.item.command = look.command;
    const tooltip = new vscode.MarkdownString(look.tooltip);
    tooltip.isTrusted = { enabledCommands: look.links };
    this.item.tooltip = tooltip;
    this.item.backgroundColor = look.isProblem ? new vscode.ThemeColor('statusBarItem.warningBackground') : undefined;
  }

  dispose(): void {
    this.item.dispose();
  }
}
