// The server's own messages beside LSP: their names and shapes. Every one of them may be missing in an older server.

/** The oldest server that this extension works with. */
export const MIN_VERSION = '0.1.0';

export const ACCEPT_COMMAND = 'spa-lsp.accept';
export const METRICS_COMMAND = 'spa-lsp.metrics';

export const STATUS = 'spa-lsp/status';
export const DID_SHOW = 'spa-lsp/didShow';
export const DID_PARTIALLY_ACCEPT = 'spa-lsp/didPartiallyAccept';
export const DID_DISMISS = 'spa-lsp/didDismiss';
export const ALTERNATIVES = 'spa-lsp/alternatives';
export const WHY_NOT = 'spa-lsp/whyNot';

export type State = 'starting' | 'loading' | 'ready' | 'busy' | 'off' | 'error';

/** What `spa-lsp/status` carries. */
export interface Status {
  state: State;
  message?: string;
  base?: string;
  adapter_set?: string;
  k?: number;
  /** `HOST:PORT` of the server that gets the text in place of the engine; empty: there is none. */
  sends_to?: string;
}

/** One alternative as `spa-lsp/alternatives` answers it. */
export interface Alternative {
  text: string;
  adapter: string;
  label: string;
  index: number;
  mean_logprob?: number;
  n_tokens?: number;
  finish?: string;
  range?: unknown; // what its text takes the place of, as the protocol has ranges
}

/** The answer to `spa-lsp/alternatives`. */
export interface Alternatives {
  alternatives: Alternative[];
  base?: string;
  adapter_set?: string;
}

const STATES: readonly string[] = ['starting', 'loading', 'ready', 'busy', 'off', 'error'];

/** The status in a notification; undefined when it is none that we know. */
export function readStatus(params: unknown): Status | undefined {
  const state = isRecord(params) ? params['state'] : undefined;
  return typeof state === 'string' && STATES.includes(state) ? (params as Status) : undefined;
}

/** Whether version `found` is `least` or newer; what is no version is not refused. */
export function isAtLeast(found: string, least: string): boolean {
  const [left, right] = [found, least].map((version) => version.split('.').slice(0, 3).map((part) => parseInt(part, 10)));
  if (!left || !right || left.some(Number.isNaN)) {
    return true;
  }
  const differs = right.findIndex((part, n) => (left[n] ?? 0) !== part);
  return differs < 0 || (left[differs] ?? 0) > (right[differs] ?? 0);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
