// From the server's answer to what the panel shows. Pure.
import { differing, type Piece } from './diff';
import { isRecord, type Alternative } from './protocol';

/** One alternative in the panel. */
export interface Card {
  number: number;
  label: string;
  adapter: string;
  /** A few figures, for people who want them. */
  facts: string;
  /** The text, with what the first alternative lacks marked. */
  pieces: Piece[];
}

/** What the panel is told. */
export type ToPanel =
  | { type: 'waiting' }
  | { type: 'cards'; cards: Card[]; title: string }
  | { type: 'notice'; text: string };

/** What the panel tells. */
export type FromPanel = { type: 'ready' } | { type: 'insert'; number: number } | { type: 'again' };

/** A card per alternative; `indent` is what stands before the cursor on its line, if that is only white space. */
export function toCards(alternatives: readonly Alternative[], indent: string): Card[] {
  const first = alternatives[0]?.text ?? '';
  return alternatives.map((alternative, n) => ({
    number: n + 1,
    label: alternative.label,
    adapter: alternative.adapter,
    facts: facts(alternative),
    pieces: indented(n === 0 ? [{ text: first, isNew: false }] : differing(alternative.text, first), indent),
  }));
}

/** The alternatives in an answer to `spa-lsp/alternatives`; whatever has no text is left out. */
export function readAlternatives(answer: unknown): Alternative[] {
  const list = isRecord(answer) && Array.isArray(answer['alternatives']) ? answer['alternatives'] : [];
  return list.filter((each): each is Alternative => isRecord(each) && typeof each['text'] === 'string' && each['text'] !== '');
}

/** The character before which ends what gives way to it behind the cursor: closed brackets, the rest of a word. */
export function replacedUntil({ range }: Alternative, cursor: { line: number; character: number }): number {
  const end = isRecord(range) ? range['end'] : undefined;
  const character = isRecord(end) && end['line'] === cursor.line ? Number(end['character']) : 0;
  return Math.max(character || 0, cursor.character);
}

/** A message from the panel; undefined when it is none. */
export function readFromPanel(message: unknown): FromPanel | undefined {
  if (!isRecord(message)) {
    return undefined;
  }
  const { type, number } = message;
  if (type === 'insert') {
    return typeof number === 'number' ? { type, number } : undefined;
  }
  return type === 'ready' || type === 'again' ? { type } : undefined;
}

function facts({ n_tokens: nTokens, mean_logprob: logprob, finish }: Alternative): string {
  const parts = [
    nTokens === undefined ? '' : `${nTokens} tokens`,
    logprob === undefined ? '' : `${logprob.toFixed(2)} nats per token`,
    finish === 'length' || finish === 'deadline' ? 'not finished' : '',
  ];
  return parts.filter(Boolean).join(' · ');
}

function indented(pieces: Piece[], indent: string): Piece[] {
  return indent.trim() === '' && indent !== '' ? [{ text: indent, isNew: false }, ...pieces] : pieces;
}
