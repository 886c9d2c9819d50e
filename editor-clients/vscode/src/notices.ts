// Messages to the user: each at most once until it is forgotten, with one button; never a loop of pop-ups.
import * as vscode from 'vscode';

export interface Notice {
  text: string;
  button: string;
  command: string;
  arguments?: unknown[];
}

/** Shows notices, and keeps the last one for the status bar. */
export class Notices {
  private readonly shown = new Set<string>();
  private last: Notice | undefined;

  /** Show it, unless it was shown before. */
  show(notice: Notice): void {
    this.last = notice;
    if (!this.shown.has(notice.text)) {
      this.shown.add(notice.text);
      void this.ask(notice);
    }
  }

  /** Show the last one again; false when there is none. */
  showAgain(): boolean {
    if (this.last) {
      void this.ask(this.last);
    }
    return this.last !== undefined;
  }

  /** The user changed something: what is still wrong may be said once more. */
  forget(): void {
    this.shown.clear();
    this.last = undefined;
  }

  private async ask(notice: Notice): Promise<void> {
    if ((await vscode.window.showWarningMessage(notice.text, notice.button)) === notice.button) {
      await vscode.commands.executeCommand(notice.command, ...(notice.arguments ?? []));
    }
  }
}
