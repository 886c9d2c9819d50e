// Follows what the editor shows: listens to answers, typing and the cursor, and tells the server what was shown.
import * as vscode from 'vscode';
import type { Middleware } from 'vscode-languageclient/node';

import { ACCEPT_COMMAND, DID_DISMISS, DID_PARTIALLY_ACCEPT, DID_SHOW, isRecord } from './protocol';
import { current, cycled, offered, typed, type Choice, type Showing } from './shown';

/** What the tracker needs of the server. */
export interface Source {
  readonly isReady: boolean;
  becomesReady(token: vscode.CancellationToken): Promise<boolean>;
  tell(method: string, params: unknown): void;
}

/** The alternative on screen in the active editor. */
export class Tracker implements vscode.Disposable {
  showing: Showing | undefined;
  readonly onDidChange: vscode.Event<Showing | undefined>;

  private readonly changed = new vscode.EventEmitter<Showing | undefined>();
  private readonly listeners: vscode.Disposable[];

  constructor(
    private readonly isEnabled: () => boolean,
    private readonly source: () => Source,
  ) {
    this.onDidChange = this.changed.event;
    this.listeners = [
      vscode.workspace.onDidChangeTextDocument((event) => this.onEdit(event)),
      vscode.window.onDidChangeTextEditorSelection((event) => this.onCursor(event.textEditor)),
      vscode.window.onDidChangeActiveTextEditor(() => this.set(undefined)),
    ];
  }

  /** What the language client lets through us. */
  get middleware(): Middleware {
    return {
      provideInlineCompletionItems: async (document, position, context, token, next) => {
        if (!this.isEnabled()) {
          return [];
        }
        const version = document.version;
        const source = this.source();
        const wasReady = source.isReady;
        let answer = await next(document, position, context, token);
        // The editor takes an empty answer to a key as the last word on this place: while the base loads there is none.
        // Answers while typing are not held back, for other extensions' would be too.
        const isWanted = context.triggerKind === vscode.InlineCompletionTriggerKind.Invoke;
        const isUnready = !wasReady || !source.isReady;
        if (isWanted && isUnready && !itemsOf(answer).length && (await source.becomesReady(token))) {
          answer = await next(document, position, context, token);
        }
        if (!token.isCancellationRequested && document.version === version) {
          this.onAnswer(document, position, itemsOf(answer));
        }
        return answer;
      },
      executeCommand: (command, args, next) => {
        if (command === ACCEPT_COMMAND) {
          this.set(undefined);
        }
        return next(command, args);
      },
    };
  }

  /** Show the next or previous alternative; ask for some when none is shown. */
  async cycle(step: 1 | -1): Promise<void> {
    const command = step === 1 ? 'showNext' : 'showPrevious';
    await vscode.commands.executeCommand(`editor.action.inlineSuggest.${command}`);
    if (this.showing) {
      this.set(cycled(this.showing, step));
    }
  }

  /** Accept a part of the alternative on screen; the rest of it stays. */
  async acceptPart(command: 'acceptNextWord' | 'acceptNextLine'): Promise<void> {
    const before = this.showing;
    await vscode.commands.executeCommand(`editor.action.inlineSuggest.${command}`);
    if (before && this.showing) {
      const acceptedLength = this.showing.offset - before.offset;
      this.source().tell(DID_PARTIALLY_ACCEPT, { ...origin(current(before)), acceptedLength });
    }
  }

  /** Hide it because the user does not want it. */
  async dismiss(): Promise<void> {
    await vscode.commands.executeCommand('editor.action.inlineSuggest.hide');
    if (this.showing) {
      this.source().tell(DID_DISMISS, origin(current(this.showing)));
      this.set(undefined);
    }
  }

  /** Nothing is shown any more. */
  forget(): void {
    this.set(undefined);
  }

  dispose(): void {
    vscode.Disposable.from(...this.listeners, this.changed).dispose();
  }

  private onAnswer(
    document: vscode.TextDocument,
    position: vscode.Position,
    items: readonly vscode.InlineCompletionItem[],
  ): void {
    const editor = vscode.window.activeTextEditor;
    if (editor?.document !== document || !editor.selection.active.isEqual(position)) {
      return;
    }
    const choices = items.map((item) => toChoice(document, position, item)).filter((choice) => choice !== undefined);
    const place = { uri: document.uri.toString(), version: document.version, offset: document.offsetAt(position) };
    this.set(offered(this.showing, { ...place, choices }));
  }

  private onEdit(event: vscode.TextDocumentChangeEvent): void {
    if (this.showing?.uri !== event.document.uri.toString() || !event.contentChanges.length) {
      return;
    }
    const edits = event.contentChanges.map((change) => ({
      offset: change.rangeOffset,
      removed: change.rangeLength,
      text: change.text,
    }));
    this.set(typed(this.showing, edits, event.document.version));
  }

  private onCursor(editor: vscode.TextEditor): void {
    const showing = this.showing;
    if (showing?.uri !== editor.document.uri.toString() || showing.version !== editor.document.version) {
      return; // between an edit and the cursor that follows it
    }
    const { selection } = editor;
    if (!selection.isEmpty || editor.document.offsetAt(selection.active) !== showing.offset) {
      this.set(undefined);
    }
  }

  private set(showing: Showing | undefined): void {
    const before = this.showing && current(this.showing);
    const after = showing && current(showing);
    this.showing = showing;
    if (after && !isSame(before, after)) {
      this.source().tell(DID_SHOW, origin(after));
    }
    if (before || after) {
      this.changed.fire(showing);
    }
  }
}

function itemsOf(answer: vscode.InlineCompletionItem[] | vscode.InlineCompletionList | null | undefined): vscode.InlineCompletionItem[] {
  return (Array.isArray(answer) ? answer : answer?.items) ?? [];
}

/** The text that the item would insert at the cursor; undefined when it does not begin with what stands there. */
function toChoice(
  document: vscode.TextDocument,
  position: vscode.Position,
  item: vscode.InlineCompletionItem,
): Choice | undefined {
  const text = typeof item.insertText === 'string' ? item.insertText : item.insertText.value;
  const replaced = item.range ? document.getText(new vscode.Range(item.range.start, position)) : '';
  if (!text.startsWith(replaced)) {
    return undefined;
  }
  return { text: text.slice(replaced.length), label: item.command?.title ?? '', origin: item.command?.arguments?.[0] };
}

function isSame(before: Choice | undefined, after: Choice): boolean {
  return before !== undefined && sameJson(before.origin, after.origin) && before.text.endsWith(after.text);
}

function origin(choice: Choice): Record<string, unknown> {
  return isRecord(choice.origin) ? choice.origin : {};
}

function sameJson(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}
