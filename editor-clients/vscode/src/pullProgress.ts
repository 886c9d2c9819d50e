// Reads what `spa-lsp models pull` says on stderr. Pure.

export interface PullStep {
  message: string;
  /** How far the work is, 0 to 100; undefined when the line does not say. */
  percent?: number;
}

const UNITS: Record<string, number> = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 };
const AMOUNTS = /^(.*?): ([\d.]+) (B|kB|MB|GB) of ([\d.]+) (B|kB|MB|GB)(?:, .*?, (.+ left))?$/;
const COUNTS = /^(.*?): (\d+)(?: \w+)? of (\d+) (\w+)(?:, .*?, (.+ left))?$/;

/** One line of progress, `pull X: 12.5 MB of 491.4 MB, 2.1 MB/s, 3 min 48 s left` say. */
export function readPullLine(line: string): PullStep {
  const bytes = AMOUNTS.exec(line);
  if (bytes) {
    const [, label = '', done, doneUnit = '', total, totalUnit = '', left] = bytes;
    const share = (Number(done) * (UNITS[doneUnit] ?? 1)) / (Number(total) * (UNITS[totalUnit] ?? 1));
    return step(label, share, `${done} ${doneUnit} of ${total} ${totalUnit}`, left);
  }
  const counts = COUNTS.exec(line);
  if (counts) {
    const [, label = '', done, total, unit = '', left] = counts;
    return step(label, Number(done) / Number(total), `${done} of ${total} ${unit}`, left);
  }
  return { message: line };
}

function step(label: string, share: number, amount: string, left: string | undefined): PullStep {
  const message = [`${label}: ${amount}`, left].filter(Boolean).join(', ');
  return Number.isFinite(share) ? { message, percent: Math.min(100, Math.max(0, share * 100)) } : { message };
}

/** The base that a message asks to be pulled, `` when it names none; undefined when it does not ask for that. */
export function wantedPull(message: string): string | undefined {
  const found = /spa-lsp models pull(?:\s+([\w.-]*\w))?/.exec(message);
  return found ? (found[1] ?? '') : undefined;
}
