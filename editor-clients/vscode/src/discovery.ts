// Where the server program may be: setting, selected Python interpreter, PATH. Pure but for `isProgram`.
import * as fs from 'node:fs';
import * as path from 'node:path';

export interface Surroundings {
  /** The setting `spaLsp.server.path`; empty: not set. */
  setting: string;
  /** The selected Python interpreter, if there is one and the workspace is trusted. */
  interpreter: string | undefined;
  /** The variable PATH. */
  searchPath: string;
  home: string;
  platform: NodeJS.Platform;
}

export type Found = { program: string } | { missing: string };

/** The server program: the first that `exists`, or a sentence that says where was looked. */
export function findServer(around: Surroundings, exists: (file: string) => boolean = isProgram): Found {
  if (around.setting) {
    const program = expandHome(around.setting, around.home);
    const isThere = path.isAbsolute(program) && exists(program);
    return isThere ? { program } : { missing: `The setting spaLsp.server.path names no program that may be run: ${around.setting}` };
  }
  const program = candidates(around).find(exists);
  const places = around.interpreter ? 'neither beside the selected Python interpreter nor on PATH' : 'not on PATH';
  return program ? { program } : { missing: `The program spa-lsp was found ${places}.` };
}

/** All places to look at when the setting is empty, best first. */
export function candidates(around: Surroundings): string[] {
  const name = around.platform === 'win32' ? 'spa-lsp.exe' : 'spa-lsp';
  const beside = around.interpreter ? [path.dirname(around.interpreter)] : [];
  // relative entries would depend on the folder that happens to be open
  const searched = around.searchPath.split(path.delimiter).filter((folder) => path.isAbsolute(folder));
  return [...beside, ...searched].map((folder) => path.join(folder, name));
}

/** Whether this is a file that the user may execute. */
export function isProgram(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

function expandHome(file: string, home: string): string {
  return file === '~' || file.startsWith('~/') ? path.join(home, file.slice(1)) : file;
}
