// What the status bar says. Pure.
import type { State, Status } from './protocol';

export interface StatusLook {
  text: string;
  /** Markdown. */
  tooltip: string;
  isProblem: boolean;
  /** The command of a click. */
  command: string;
  /** The commands that the tooltip links to. */
  links: string[];
}

const ICONS: Record<State, string> = {
  starting: '$(loading~spin)',
  loading: '$(loading~spin)',
  ready: '$(layers)',
  busy: '$(sync~spin)',
  off: '$(circle-slash)',
  error: '$(warning)',
};

const WORDS: Record<State, string> = {
  starting: 'The server starts.',
  loading: 'The base is loading; alternatives come as soon as it is there.',
  ready: 'Ready.',
  busy: 'Working.',
  off: 'Off.',
  error: 'Something is wrong.',
};

const LINKS = [
  ['spaLsp.toggle', 'On/off'],
  ['spaLsp.openPanel', 'All alternatives'],
  ['spaLsp.selectSet', 'Adapter set'],
  ['spaLsp.restart', 'Restart'],
  ['spaLsp.showLog', 'Log'],
] as const;

/**
 * The status bar item.
 * `shown` is the title of the alternative on screen, `refusal` why the file in the editor gets nothing.
 */
export function statusLook(status: Status, shown: string | undefined, refusal?: string): StatusLook {
  const isRefused = refusal !== undefined && status.state !== 'off' && status.state !== 'error';
  const icon = isRefused ? ICONS.off : ICONS[status.state];
  const said = shown && status.state !== 'off' ? `${ICONS.ready} ${withoutIcons(shown)}` : `${icon} SPA`;
  const text = status.sends_to && status.state !== 'off' ? `${said} → ${status.sends_to}` : said;
  const isProblem = status.state === 'error';
  const links = LINKS.map(([command]) => command);
  return { text, tooltip: tooltip(status, isRefused ? refusal : undefined), isProblem, command: isProblem ? 'spaLsp.showProblem' : 'spaLsp.toggle', links };
}

function tooltip(status: Status, refusal: string | undefined): string {
  const facts = [
    ['base', status.base],
    ['adapter set', status.adapter_set],
    ['adapters', status.k],
    ['your text leaves this editor, to', status.sends_to],
  ].filter(([, value]) => value !== undefined && value !== null && value !== '');
  const lines = [
    `**spa-lsp** – ${escape(refusal ?? (status.message || WORDS[status.state]))}`,
    ...facts.map(([name, value]) => `${name}: ${escape(String(value))}`),
    LINKS.map(([command, title]) => `[${title}](command:${command})`).join(' · '),
  ];
  return lines.join('\n\n');
}

/** The text as the status bar must get it, to show it as it is: labels may hold code, as `$(date)`. */
function withoutIcons(text: string): string {
  return text.replace(/\$\([A-Za-z0-9-]+(~[A-Za-z]+)?\)/g, '\\$&');
}

function escape(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+!|<>~$]/g, '\\$&');
}
