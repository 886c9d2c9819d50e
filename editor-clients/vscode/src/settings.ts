// From what the user has set to the server's `initializationOptions`. The server owns all defaults. Pure.

/** What `WorkspaceConfiguration.inspect` says of one setting. */
export interface Inspected {
  globalValue?: unknown;
  workspaceValue?: unknown;
  workspaceFolderValue?: unknown;
}

/** Settings of the extension itself, which the server does not know. */
export const CLIENT_SETTINGS = ['enabled', 'server.path', 'trace.server'];

/** The settings to send: those the user has set somewhere, the nearest value of each; null means not set. */
export function serverOptions(
  names: readonly string[],
  inspect: (name: string) => Inspected | undefined,
): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const name of names) {
    const value = CLIENT_SETTINGS.includes(name) ? undefined : explicitValue(inspect(name));
    if (value !== undefined && value !== null) {
      options[name] = value;
    }
  }
  return options;
}

/** What the user has set, nearest first; undefined when nothing is set. */
export function explicitValue(inspected: Inspected | undefined): unknown {
  return inspected?.workspaceFolderValue ?? inspected?.workspaceValue ?? inspected?.globalValue;
}

/** The list with the language added, or removed if it was there. */
export function toggled(languages: unknown, language: string): string[] {
  const before = Array.isArray(languages) ? languages.filter((each): each is string => typeof each === 'string') : [];
  return before.includes(language) ? before.filter((each) => each !== language) : [...before, language];
}
