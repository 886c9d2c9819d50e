// The panel with all alternatives at one cursor, side by side.
import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';

import { readAlternatives, readFromPanel, replacedUntil, toCards, type FromPanel, type ToPanel } from './cards';
import { panelPage } from './panelPage';
import { ACCEPT_COMMAND, ALTERNATIVES, isRecord, type Alternative } from './protocol';
import type { Server } from './server';

const METHOD_NOT_FOUND = -32601;
const ASK_AGAIN_MS = 2000;

/** The cursor that the alternatives are for. */
interface Place {
  document: vscode.TextDocument;
  version: number;
  position: vscode.Position;
  column: vscode.ViewColumn | undefined;
}

interface Offer {
  alternatives: Alternative[];
  /** The arguments of the accept command for each. */
  origins: unknown[];
}

/** One panel per window. */
export class Panel implements vscode.Disposable {
  private panel: vscode.WebviewPanel | undefined;
  private place: Place | undefined;
  private offer: Offer = { alternatives: [], origins: [] };
  private last: ToPanel = { type: 'waiting' };

  constructor(
    private readonly root: vscode.Uri,
    private readonly server: Server,
  ) {}

  /** Show the alternatives at the cursor of the active editor. */
  async open(): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    if (editor) {
      const { document, selection, viewColumn } = editor;
      this.place = { document, version: document.version, position: selection.active, column: viewColumn };
    }
    if (!this.place) {
      void vscode.window.showInformationMessage('Put the cursor into a file first: the panel shows alternatives for it.');
      return;
    }
    this.panel ??= this.make();
    this.panel.reveal(vscode.ViewColumn.Beside);
    await this.fill(this.place);
  }

  dispose(): void {
    this.panel?.dispose();
  }

  private make(): vscode.WebviewPanel {
    const [dist, media] = ['dist', 'media'].map((name) => vscode.Uri.joinPath(this.root, name)) as [vscode.Uri, vscode.Uri];
    const options = { enableScripts: true, localResourceRoots: [dist, media] };
    const panel = vscode.window.createWebviewPanel('spaLsp.panel', 'Alternatives', vscode.ViewColumn.Beside, options);
    panel.webview.html = panelPage({
      script: panel.webview.asWebviewUri(vscode.Uri.joinPath(dist, 'panel.js')).toString(),
      style: panel.webview.asWebviewUri(vscode.Uri.joinPath(media, 'panel.css')).toString(),
      source: panel.webview.cspSource,
      nonce: randomBytes(16).toString('hex'),
    });
    panel.webview.onDidReceiveMessage((message: unknown) => this.take(readFromPanel(message)));
    panel.onDidDispose(() => (this.panel = undefined));
    return panel;
  }

  private async take(message: FromPanel | undefined): Promise<void> {
    if (message?.type === 'ready') {
      this.send(this.last);
    } else if (message?.type === 'insert') {
      await this.insert(message.number - 1);
    } else if (message?.type === 'again' && this.place) {
      this.place.version = this.place.document.version;
      await this.fill(this.place);
    }
  }

  private async fill(place: Place): Promise<void> {
    this.offer = { alternatives: [], origins: [] };
    this.send({ type: 'waiting' });
    try {
      const offer = await this.askOnceReady(place);
      if (this.place === place) {
        this.offer = offer;
        const before = place.document.lineAt(place.position).text.slice(0, place.position.character);
        const name = vscode.workspace.asRelativePath(place.document.uri);
        const title = `${offer.alternatives.length} alternatives · ${name}:${place.position.line + 1}`;
        this.send({ type: 'cards', cards: toCards(offer.alternatives, before), title });
      }
    } catch (error) {
      this.send({ type: 'notice', text: `No alternatives: ${error instanceof Error ? error.message : String(error)}` });
    }
  }

  /** The alternatives; while the engine starts there are none, which is said until it is there. */
  private async askOnceReady(place: Place): Promise<Offer> {
    let offer = await this.ask(place);
    while (!offer.alternatives.length && this.server.isStarting && this.panel && this.place === place) {
      this.send({ type: 'notice', text: `The engine is starting … ${this.server.status.message ?? ''}` });
      const patience = new vscode.CancellationTokenSource();
      const timer = setTimeout(() => patience.cancel(), ASK_AGAIN_MS); // an engine that has just died is started by asking
      await this.server.becomesReady(patience.token);
      clearTimeout(timer);
      patience.dispose();
      offer = await this.ask(place);
    }
    if (!offer.alternatives.length && this.server.status.state === 'error') {
      throw new Error(this.server.status.message);
    }
    return offer;
  }

  private async ask(place: Place): Promise<Offer> {
    const params = {
      textDocument: { uri: this.server.converter?.asUri(place.document.uri) },
      position: { line: place.position.line, character: place.position.character },
      context: { triggerKind: 1 },
    };
    try {
      const answer = await this.server.request(ALTERNATIVES, params);
      const alternatives = readAlternatives(answer);
      if (isRecord(answer) && answer['reason'] === 'ignored') {
        throw new Error(String(answer['message']));
      }
      const setId = isRecord(answer) ? answer['adapter_set'] : undefined;
      const language = place.document.languageId;
      const uri = params.textDocument.uri;
      const origins = alternatives.map(({ index, adapter }) => ({ setId, index, adapter, language, uri }));
      return { alternatives, origins };
    } catch (error) {
      if (!isRecord(error) || error['code'] !== METHOD_NOT_FOUND) {
        throw error;
      }
      return fromItems(await this.server.request('textDocument/inlineCompletion', params));
    }
  }

  private async insert(n: number): Promise<void> {
    const chosen = this.offer.alternatives[n];
    const place = this.place;
    if (!chosen || !place) {
      return;
    }
    if (place.document.isClosed || place.document.version !== place.version) {
      this.send({ type: 'notice', text: 'The text has changed since; press R to ask again.' });
      return;
    }
    const origin = this.offer.origins[n];
    this.panel?.dispose();
    const editor = await vscode.window.showTextDocument(place.document, place.column);
    const { line, character } = place.position;
    const replaced = new vscode.Range(line, character, line, replacedUntil(chosen, place.position));
    const isEdited = await editor.edit((builder) => builder.replace(replaced, chosen.text));
    // a read-only editor says that it was done, and does nothing
    if (!isEdited || place.document.version === place.version) {
      void vscode.window.showWarningMessage('The alternative was not inserted: this file cannot be changed.');
      return;
    }
    const eol = place.document.eol === vscode.EndOfLine.CRLF ? '\r\n' : '\n';
    const length = chosen.text.replaceAll(/\r?\n/g, eol).length;
    const end = place.document.positionAt(place.document.offsetAt(place.position) + length);
    editor.selection = new vscode.Selection(end, end);
    if (this.server.has(ACCEPT_COMMAND)) {
      await this.server.request('workspace/executeCommand', { command: ACCEPT_COMMAND, arguments: [origin] });
    }
  }

  private send(message: ToPanel): void {
    this.last = message;
    void this.panel?.webview.postMessage(message);
  }
}

/** The same from an older server, which knows only inline completion. */
function fromItems(answer: unknown): Offer {
  const items = isRecord(answer) && Array.isArray(answer['items']) ? answer['items'].filter(isRecord) : [];
  const offer: Offer = { alternatives: [], origins: [] };
  for (const { insertText, command, range } of items) {
    const [title, origin] = isRecord(command) ? [command['title'], (command['arguments'] as unknown[])[0]] : ['', {}];
    const { adapter, index } = isRecord(origin) ? origin : {};
    if (typeof insertText === 'string') {
      offer.alternatives.push({ text: insertText, label: String(title), adapter: String(adapter ?? ''), index: Number(index ?? 0), range });
      offer.origins.push(origin);
    }
  }
  return offer;
}
