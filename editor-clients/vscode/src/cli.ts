// The server program's own commands, for what its language server does not tell.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const TIMEOUT_MS = 60_000;

/** What a command prints with `--json`; it rejects with the program's own last sentence. */
export async function runJson(program: string, args: readonly string[]): Promise<unknown> {
  try {
    const { stdout } = await promisify(execFile)(program, [...args, '--json'], { timeout: TIMEOUT_MS, maxBuffer: 1 << 24 });
    return JSON.parse(stdout);
  } catch (error) {
    const stderr = (error as { stderr?: string }).stderr?.trim();
    throw new Error(stderr?.split('\n').at(-1)?.replace(/^Error: /, '') || String(error));
  }
}
