// Where one alternative differs from another, in whole words. Pure.

export interface Piece {
  text: string;
  /** Whether the other text lacks it. */
  isNew: boolean;
}

const TOKEN = /[\p{L}\p{N}_]+|\s+|[^\p{L}\p{N}_\s]/gu;
const MAX_TOKENS = 2000; // the table below grows with the square

/** `text` in pieces, each marked with whether it is missing in `other`. */
export function differing(text: string, other: string): Piece[] {
  const [tokens, others] = [text.match(TOKEN) ?? [], other.match(TOKEN) ?? []];
  if (tokens.length > MAX_TOKENS || others.length > MAX_TOKENS) {
    return text ? [{ text, isNew: text !== other }] : [];
  }
  return joined(tokens, commonTokens(tokens, others));
}

/** The places in `tokens` of one longest common subsequence with `others`. */
function commonTokens(tokens: readonly string[], others: readonly string[]): Set<number> {
  const lengths = tokens.map(() => new Uint16Array(others.length + 1));
  const lengthAt = (i: number, j: number): number => lengths[i]?.[j] ?? 0;
  for (let i = tokens.length - 1; i >= 0; i--) {
    for (let j = others.length - 1; j >= 0; j--) {
      const row = lengths[i];
      if (row) {
        row[j] = tokens[i] === others[j] ? lengthAt(i + 1, j + 1) + 1 : Math.max(lengthAt(i + 1, j), lengthAt(i, j + 1));
      }
    }
  }
  const common = new Set<number>();
  for (let i = 0, j = 0; i < tokens.length && j < others.length; ) {
    if (tokens[i] === others[j]) {
      common.add(i);
      i++;
      j++;
    } else if (lengthAt(i + 1, j) >= lengthAt(i, j + 1)) {
      i++;
    } else {
      j++;
    }
  }
  return common;
}

function joined(tokens: readonly string[], common: ReadonlySet<number>): Piece[] {
  const pieces: Piece[] = [];
  tokens.forEach((token, n) => {
    const last = pieces.at(-1);
    const isNew = !common.has(n);
    if (last && last.isNew === isNew) {
      last.text += token;
    } else {
      pieces.push({ text: token, isNew });
    }
  });
  return pieces;
}
