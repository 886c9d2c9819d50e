// The language client: how the server is started and what is passed on. Its life is in `server.ts`.
import * as vscode from 'vscode';
import {
  CloseAction,
  ErrorAction,
  LanguageClient,
  RevealOutputChannelOn,
  TransportKind,
  type Middleware,
} from 'vscode-languageclient/node';

export interface ClientParts {
  program: string;
  options: Record<string, unknown>;
  log: vscode.LogOutputChannel;
  middleware: Middleware;
  /** Called when the server has ended by itself; whether it is to be started again. */
  onEnd: () => boolean;
}

/** A client for this server program, not started yet. */
export function makeClient(parts: ClientParts): LanguageClient {
  const server = { command: parts.program, args: [], transport: TransportKind.stdio };
  return new QuietClient('spaLsp', 'spa-lsp', server, {
    documentSelector: [{ scheme: 'file' }, { scheme: 'untitled' }, { scheme: 'vscode-notebook-cell' }],
    initializationOptions: parts.options,
    outputChannel: parts.log,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    middleware: parts.middleware,
    initializationFailedHandler: () => false,
    errorHandler: {
      error: () => ({ action: ErrorAction.Continue, handled: true }),
      closed: () => ({ action: parts.onEnd() ? CloseAction.Restart : CloseAction.DoNotRestart, handled: true }),
    },
  });
}

/** Logs what went wrong; the library would show a message of its own beside ours. */
class QuietClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }
}
