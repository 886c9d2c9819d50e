// Which alternative the editor shows now. VS Code tells nobody, so this follows its rules: a second answer at the same
// place, and typing what the alternative says, keep it; an answer after typing begins with its first again. Pure.

/** One alternative at the cursor: the text that would be inserted there, and whose it is. */
export interface Choice {
  text: string;
  label: string;
  /** The arguments of the accept command, as the server gave them. */
  origin: unknown;
}

/** The alternatives in the editor, the cursor they stand at, and the one on screen. */
export interface Showing {
  uri: string;
  version: number;
  offset: number;
  choices: Choice[];
  at: number;
  /** Whether something was typed since the answer came. */
  isTyped?: boolean;
}

/** One edit of a document. */
export interface Edit {
  offset: number;
  removed: number;
  text: string;
}

/** What is shown after an answer came; undefined for an empty one. */
export function offered(before: Showing | undefined, answer: Omit<Showing, 'at' | 'isTyped'>): Showing | undefined {
  const choices = distinct(answer.choices);
  if (!choices.length) {
    return undefined;
  }
  const isSame = before?.uri === answer.uri && before.offset === answer.offset && !before.isTyped;
  const kept = isSame ? choices.findIndex((choice) => choice.text === current(before).text) : -1;
  return { ...answer, choices, at: Math.max(kept, 0) };
}

/** What is shown after edits; undefined unless they are typing that at least one alternative agrees with. */
export function typed(showing: Showing, edits: readonly Edit[], version: number): Showing | undefined {
  const [edit, ...others] = edits;
  if (!edit || others.length || edit.removed || edit.offset !== showing.offset) {
    return undefined;
  }
  const text = edit.text.replaceAll('\r\n', '\n'); // alternatives have \n whatever the document has
  const fits = (choice: Choice): boolean => choice.text.startsWith(text) && choice.text !== text;
  const shown = current(showing);
  const left = showing.choices.filter(fits);
  const choices = left.map((choice) => ({ ...choice, text: choice.text.slice(text.length) }));
  if (!choices.length) {
    return undefined;
  }
  const offset = showing.offset + edit.text.length;
  return { ...showing, version, offset, choices, at: Math.max(left.indexOf(shown), 0), isTyped: true };
}

/** The next (1) or previous (-1) alternative; after the last comes the first. */
export function cycled(showing: Showing, step: 1 | -1): Showing {
  const n = showing.choices.length;
  return { ...showing, at: (showing.at + step + n) % n };
}

/** The alternative on screen. */
export function current(showing: Showing): Choice {
  const choice = showing.choices[showing.at];
  if (!choice) {
    throw new RangeError(`no alternative ${showing.at} of ${showing.choices.length}`);
  }
  return choice;
}

/** `2/5 · recursion`. */
export function title(showing: Showing): string {
  const counted = `${showing.at + 1}/${showing.choices.length}`;
  const { label } = current(showing);
  return label ? `${counted} · ${label}` : counted;
}

function distinct(choices: readonly Choice[]): Choice[] {
  const texts = choices.map((choice) => choice.text);
  return choices.filter((choice, n) => choice.text !== '' && texts.indexOf(choice.text) === n);
}
