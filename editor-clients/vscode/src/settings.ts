// From what the user has set to the server's `initializationOptions`. The server owns all defaults. Pure.

/** What `WorkspaceConfiguration.inspect` says of one setting. */
export interface Inspected {
  globalValue?: unknown;
  workspaceValue?: unknown;
  workspaceFolderValue?: unknown;
}

/** Settings of the extension itself, which the server does not know. */
export const CLIENT_SETTINGS = ['enabled', 'server.path', 'trace.server'];

/**
 * The settings to send: those that are set somewhere; null means not set.
 * What the folder's files say stands apart, under `workspace`: anyone can have written them, and the server takes less of them.
 */
export function serverOptions(
  names: readonly string[],
  inspect: (name: string) => Inspected | undefined,
): Record<string, unknown> {
  const found = names.filter((name) => !CLIENT_SETTINGS.includes(name)).map((name) => [name, inspect(name)] as const);
  const own = found.map(([name, each]) => [name, each?.globalValue] as const);
  const folder = found.map(([name, each]) => [name, each?.workspaceFolderValue ?? each?.workspaceValue] as const);
  const workspace = thoseSet(folder);
  return { ...thoseSet(own), ...(Object.keys(workspace).length ? { workspace } : {}) };
}

function thoseSet(values: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  return Object.fromEntries(values.filter(([, value]) => value !== undefined && value !== null));
}

/** What the user has set, nearest first; undefined when nothing is set. */
export function explicitValue(inspected: Inspected | undefined): unknown {
  return inspected?.workspaceFolderValue ?? inspected?.workspaceValue ?? inspected?.globalValue;
}

/** The base that a command of the program is to be told; empty where the program is to choose, as `auto` says, too. */
export function namedBase(value: unknown): string {
  return typeof value === 'string' && value !== 'auto' ? value : '';
}

/** The lists to write, so that a language is off that was on, or on that was off. The user's and the folder's add up. */
export function toggled(inspected: Inspected | undefined, language: string): { globalValue?: string[]; workspaceValue?: string[] } {
  const before = { globalValue: texts(inspected?.globalValue), workspaceValue: texts(inspected?.workspaceValue) };
  const having = (['globalValue', 'workspaceValue'] as const).filter((place) => before[place].includes(language));
  if (having.length) {
    return Object.fromEntries(having.map((place) => [place, before[place].filter((each) => each !== language)]));
  }
  const place = inspected?.workspaceValue === undefined ? 'globalValue' : 'workspaceValue';
  return { [place]: [...before[place], language] };
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : [];
}
