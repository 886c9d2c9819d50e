// The life of the server: found, started, restarted, given up. One at a time, and one message when it does not work.
import * as os from 'node:os';
import * as vscode from 'vscode';
import { State as ClientState, type LanguageClient, type Middleware } from 'vscode-languageclient/node';

import { makeClient } from './client';
import { Crashes } from './crashes';
import { findServer } from './discovery';
import type { Notices } from './notices';
import { MIN_VERSION, STATUS, isAtLeast, readStatus, type Status } from './protocol';
import { wantedPull } from './pullProgress';
import { selectedInterpreter } from './python';
import { serverOptions } from './settings';

const STOP_TIMEOUT_MS = 3000;

/** The server of this window. */
export class Server implements vscode.Disposable {
  /** Path of the program, once it was found. */
  program: string | undefined;
  status: Status = { state: 'starting' };
  readonly onDidChangeStatus: vscode.Event<Status>;

  private readonly changed = new vscode.EventEmitter<Status>();
  private readonly crashes = new Crashes();
  private client: LanguageClient | undefined;
  private options = '';
  private work: Promise<void> = Promise.resolve();

  constructor(
    private readonly settingNames: readonly string[],
    private readonly middleware: Middleware,
    private readonly log: vscode.LogOutputChannel,
    private readonly notices: Notices,
  ) {
    this.onDidChangeStatus = this.changed.event;
  }

  /** Stop the server if it runs, and start it with the settings of now. */
  restart(): Promise<void> {
    this.work = this.work.then(async () => {
      await this.stop();
      await this.start();
    });
    return this.work;
  }

  /** Restart it only if what it was started with is not what is set now. */
  async restartIfChanged(): Promise<void> {
    await this.work;
    if (JSON.stringify([await this.find(), this.readOptions()]) !== this.options) {
      this.notices.forget();
      await this.restart();
    }
  }

  /** Whether the base is loaded. */
  get isReady(): boolean {
    return this.status.state === 'ready' || this.status.state === 'busy';
  }

  /** Whether there will be alternatives that are not there yet. */
  get isStarting(): boolean {
    return this.status.state === 'starting' || this.status.state === 'loading';
  }

  /** True as soon as the base is loaded; false when it will not be, or nobody waits any more. */
  async becomesReady(token: vscode.CancellationToken): Promise<boolean> {
    const listeners: vscode.Disposable[] = [];
    const answer = new Promise<boolean>((tell) => {
      const look = (): void => {
        if (!this.isStarting) {
          tell(this.isReady);
        }
      };
      listeners.push(this.onDidChangeStatus(look), token.onCancellationRequested(() => tell(false)));
      look();
    });
    return answer.finally(() => vscode.Disposable.from(...listeners).dispose());
  }

  /** Whether the running server has this command. */
  has(command: string): boolean {
    return this.client?.initializeResult?.capabilities.executeCommandProvider?.commands.includes(command) ?? false;
  }

  /** Ask the server; it rejects when the server does not run. */
  async request(method: string, params: unknown): Promise<unknown> {
    await this.work;
    if (!this.client || this.client.state !== ClientState.Running) {
      throw new Error('the server does not run; see the log');
    }
    return this.client.sendRequest(method, params);
  }

  /** Tell the server, if it runs. */
  tell(method: string, params: unknown): void {
    if (this.client?.state === ClientState.Running) {
      this.client.sendNotification(method, params).catch((error: unknown) => this.log.debug(`${method}: ${error}`));
    }
  }

  /** Position and documents in the server's form. */
  get converter(): LanguageClient['code2ProtocolConverter'] | undefined {
    return this.client?.code2ProtocolConverter;
  }

  dispose(): void {
    void this.work.then(() => this.stop());
    this.changed.dispose();
  }

  /** Stop it now; for the end of the window. */
  async stop(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    try {
      await client?.dispose(STOP_TIMEOUT_MS);
    } catch (error) {
      this.log.info(`the server did not stop in order: ${error}`);
    }
  }

  private async start(): Promise<void> {
    const found = await this.find();
    const options = this.readOptions();
    this.options = JSON.stringify([found, options]);
    this.program = 'program' in found ? found.program : undefined;
    if ('missing' in found) {
      this.fail(found.missing, 'How to Install', 'spaLsp.showInstall');
      return;
    }
    this.setStatus({ state: 'starting' });
    this.log.info(`starting ${found.program}`);
    this.client = this.make(found.program, options);
    try {
      await this.client.start();
      if (!this.check(this.client)) {
        await this.stop(); // it is not to get what is typed
      }
    } catch (error) {
      this.log.error(`${found.program} did not start: ${error}`);
      this.failToStart(found.program);
    }
  }

  private make(program: string, options: Record<string, unknown>): LanguageClient {
    let hasRun = false;
    const onEnd = (): boolean => hasRun && this.isWorthRestarting();
    const client = makeClient({ program, options, log: this.log, middleware: this.middleware, onEnd });
    client.onNotification(STATUS, (params: unknown) => {
      const status = readStatus(params);
      if (status) {
        this.setStatus(status);
      }
    });
    client.onNotification('window/showMessage', (params: { message: string }) => this.pass(params.message));
    client.onDidChangeState(({ newState }) => {
      hasRun ||= newState === ClientState.Running;
      if (newState === ClientState.Running && this.status.state === 'starting') {
        this.setStatus({ state: 'ready' }); // older servers send no status
      } else if (newState === ClientState.StartFailed && hasRun) {
        this.failToStart(program); // after a crash; the first start is awaited in `start`
      }
    });
    return client;
  }

  private isWorthRestarting(): boolean {
    const isWorth = this.crashes.mayRestart();
    this.log.warn(`the server ended by itself; ${isWorth ? 'it is started again' : 'it stays off'}`);
    if (isWorth) {
      this.setStatus({ state: 'starting' });
    } else {
      this.fail('The spa-lsp server ended five times in three minutes and stays off.', 'Restart', 'spaLsp.restart');
    }
    return isWorth;
  }

  /** Whether it is our server; one that is too old is used as far as it goes. */
  private check(client: LanguageClient): boolean {
    const about = client.initializeResult?.serverInfo;
    if (about?.name !== 'spa-lsp') {
      this.fail(`${this.program} is not spa-lsp but ${about?.name ?? 'unknown'}.`, 'How to Install', 'spaLsp.showInstall');
      return false;
    }
    if (about.version && !isAtLeast(about.version, MIN_VERSION)) {
      const text = `spa-lsp ${about.version} is too old for this extension, which needs ${MIN_VERSION}.`;
      this.fail(text, 'How to Upgrade', 'spaLsp.showInstall');
    }
    return true;
  }

  /** A message of the server, with the button that helps. */
  private pass(message: string): void {
    this.log.warn(message);
    const base = wantedPull(message);
    if (base === undefined) {
      this.notices.show({ text: message, button: 'Show Log', command: 'spaLsp.showLog' });
    } else {
      this.notices.show({ text: message, button: 'Download', command: 'spaLsp.pullModel', arguments: [base] });
    }
  }

  private failToStart(program: string): void {
    this.fail(`${program} could not be started as a language server.`, 'Show Log', 'spaLsp.showLog');
  }

  private fail(message: string, button: string, command: string): void {
    this.setStatus({ state: 'error', message });
    this.notices.show({ text: message, button, command });
  }

  private setStatus(status: Status): void {
    this.status = status;
    this.changed.fire(status);
  }

  private async find(): Promise<ReturnType<typeof findServer>> {
    return findServer({
      setting: vscode.workspace.getConfiguration('spaLsp').get('server.path', ''),
      interpreter: await selectedInterpreter(),
      searchPath: process.env['PATH'] ?? '',
      home: os.homedir(),
      platform: process.platform,
    });
  }

  private readOptions(): Record<string, unknown> {
    const configuration = vscode.workspace.getConfiguration('spaLsp');
    return serverOptions(this.settingNames, (name) => configuration.inspect(name));
  }
}
